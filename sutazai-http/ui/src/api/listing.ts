/** Lists that the server returns page by page. */
import { useState } from "preact/hooks";
import { change, known, useLoaded } from "./cache";

export interface Listing<T> {
    items: T[];
    next_cursor?: string | null | undefined;
}

/** Loads the first page of `key`, and again as much as was shown before. `loadMore` is absent at the end. */
export function useListing<T>(key: string, load: (cursor?: string) => Promise<Listing<T>>) {
    const loaded = useLoaded<Listing<T>>(key, async () => {
        const shown = known<Listing<T>>(key)?.items.length ?? 0;
        let list = await load();
        while (list.items.length < shown && list.next_cursor) list = joined(list, await load(list.next_cursor));
        return list;
    });
    const [isLoading, setIsLoading] = useState(false);
    const cursor = loaded.value?.next_cursor;
    const loadMore = async () => {
        if (!cursor || isLoading) return;
        setIsLoading(true);
        try {
            const page = await load(cursor);
            change<Listing<T>>(key, (list) => joined(list, page));
        } finally {
            setIsLoading(false);
        }
    };
    return { ...loaded, loadMore: cursor ? loadMore : undefined };
}

function joined<T>(list: Listing<T>, page: Listing<T>): Listing<T> {
    return { items: [...list.items, ...page.items], next_cursor: page.next_cursor };
}
