/** Pages whose code is loaded when they are first shown. */
import type { ComponentType, VNode } from "preact";
import { useEffect, useState } from "preact/hooks";

/** Shows nothing while a page loads; the bundle is local and small. */
export function lazy<P extends object>(load: () => Promise<{ default: ComponentType<P> }>): (props: P) => VNode | null {
    let loaded: ComponentType<P> | undefined;
    return (props: P) => {
        const [, ready] = useState(false);
        const [fault, setFault] = useState<unknown>();
        useEffect(() => {
            if (loaded) return;
            load().then(
                (module) => {
                    loaded = module.default;
                    ready(true);
                },
                (error: unknown) => setFault(error ?? new Error("page")),
            );
        }, []);
        if (fault) throw fault;
        const Loaded = loaded;
        return Loaded ? <Loaded {...props} /> : null;
    };
}
