/** State of a form that is sent to the server, and the error that is about none of its fields. */
import { useEffect, useState } from "preact/hooks";
import { Failure } from "../api/failure";
import { now } from "../lib/time";
import { coarse } from "../lib/units";
import { T } from "../texts";
import { sentence } from "./notice";

/** Words for a refused sign-in; a wait counts down. */
export function refusal(failure: Failure, until: number | undefined): string {
    const wait = until === undefined ? undefined : coarse(Math.max(0, Math.ceil((until - now.value) / 1000)));
    if (failure.status === 401) return T.entrance.wrong;
    if (failure.status === 403 && /disabled/.test(failure.message)) return T.entrance.disabled;
    if (failure.status === 429) return T.entrance.tooMany(wait ?? "");
    if (failure.status === 503) return T.entrance.busy(wait ?? "");
    return sentence(failure.message);
}

/** Runs a form: one submission at a time, the failure kept, and a repetition when the server was busy. */
export function useForm(submit: () => Promise<void>) {
    const [failure, setFailure] = useState<Failure>();
    const [until, setUntil] = useState<number>();
    const [busy, setBusy] = useState(false);
    const run = async () => {
        setBusy(true);
        try {
            await submit();
            setFailure(undefined);
        } catch (error) {
            const failed = Failure.of(error);
            setFailure(failed);
            setUntil(failed.retryAfter === undefined ? undefined : Date.now() + failed.retryAfter * 1000);
        } finally {
            setBusy(false);
        }
    };
    useEffect(() => {
        if (failure?.status !== 503 || until === undefined) return undefined;
        const timer = setTimeout(() => void run(), Math.max(0, until - Date.now()));
        return () => clearTimeout(timer);
    }, [failure]);
    return {
        failure,
        busy,
        text: failure && !failure.field ? refusal(failure, until) : undefined,
        /** Message about one field, as a sentence. */
        about: (field: string) => (failure?.field === field ? sentence(failure.message) : undefined),
        submit: (event: Event) => {
            event.preventDefault();
            if (!busy) void run();
        },
    };
}

export function FormError({ text }: { text: string | undefined }) {
    if (text === undefined) return null;
    return (
        <p class="error" role="alert">
            {text}
        </p>
    );
}
