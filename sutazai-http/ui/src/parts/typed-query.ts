/** Text of a search field that is part of the address. */
import { useEffect, useState } from "preact/hooks";
import { route, setQuery } from "../router";

const TYPING_MS = 300;

/** Returns the text of the field and its setter. The address follows once the typing pauses; Back changes the field. */
export function useTypedQuery(): [string, (text: string) => void] {
    const asked = route.value.query.get("q") ?? "";
    const [typed, setTyped] = useState(asked);
    useEffect(() => {
        if (asked !== typed.trim()) setTyped(asked);
    }, [asked]);
    useEffect(() => {
        const timer = setTimeout(() => setQuery({ q: typed.trim() || undefined }), TYPING_MS);
        return () => clearTimeout(timer);
    }, [typed]);
    return [typed, setTyped];
}
