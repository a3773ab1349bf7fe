/** States of a part: loading, empty, failed, not measured. */
import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import { PLACEHOLDER_DELAY_MS } from "../api/cache";
import type { Failure } from "../api/failure";
import { user } from "../api/session";
import { T } from "../texts";
import { Copy } from "./copy";
import { Icon, Sign } from "./icon";

const SLOW_MS = 10_000;

/** Lines in the place of what is loaded; nothing for the first 300 ms. */
export function Loading({ what, lines = 4, retry }: { what: string; lines?: number; retry?: () => void }) {
    const [phase, setPhase] = useState<"none" | "shown" | "slow">("none");
    useEffect(() => {
        const timers = [
            setTimeout(() => setPhase("shown"), PLACEHOLDER_DELAY_MS),
            setTimeout(() => setPhase("slow"), SLOW_MS),
        ];
        return () => timers.forEach(clearTimeout);
    }, []);
    return (
        <div class="loading" aria-busy="true" style={{ minHeight: `${lines * 40}px` }}>
            <span class="unseen" role="status">
                {T.loading(what)}
            </span>
            {phase !== "none" && Array.from({ length: lines }, (_, line) => <div key={line} class="bone" />)}
            {phase === "slow" && (
                <p>
                    {T.slow}{" "}
                    {retry && (
                        <button type="button" class="button" onClick={retry}>
                            {T.tryAgain}
                        </button>
                    )}
                </p>
            )}
        </div>
    );
}

interface FailedProps {
    failure: Failure;
    retry?: () => void;
    /** Sentence for 404, with a way back. */
    missing?: ComponentChildren;
}

/** Failure of a request: the server's message, what can be done, and the trace id. */
export function Failed({ failure, retry, missing }: FailedProps) {
    if (failure.status === 404 && missing) return <Empty heading>{missing}</Empty>;
    if (failure.status === 403 && failure.field === undefined) {
        return <Empty>{T.notAllowed(user()?.username ?? "")}</Empty>;
    }
    return (
        <div class="notice" role="alert">
            <Icon name="triangle-alert" />
            <div>
                <p>{failure.status === 501 ? sentence(failure.message) : T.failed(failure.message)}</p>
                <p class="row">
                    {retry && failure.status !== 501 && (
                        <button type="button" class="button" onClick={retry}>
                            {T.tryAgain}
                        </button>
                    )}
                    {failure.trace && (
                        <span class="row muted">
                            {T.trace} <code>{failure.trace}</code>
                            <Copy text={failure.trace} what={T.traceId} />
                        </span>
                    )}
                </p>
            </div>
        </div>
    );
}

/** Makes a sentence of an error message. An identifier at its beginning, such as `llama-cpp`, stays as it is. */
export function sentence(message: string): string {
    const isIdentifier = /^[^\s:,]*[-_./\d]/.test(message);
    const begin = isIdentifier ? message.charAt(0) : message.charAt(0).toUpperCase();
    return `${begin}${message.slice(1)}${/[.!?]$/.test(message) ? "" : "."}`;
}

/** `heading`: the sentence is all that the page has, so it is its heading. */
export function Empty({ children, heading = false }: { children: ComponentChildren; heading?: boolean }) {
    return <div class="empty">{heading ? <h1>{children}</h1> : children}</div>;
}

/** Reason why something was not measured: neither well nor zero. */
export function NotMeasured({ what, reason }: { what: string; reason: string }) {
    return (
        <p class="unmeasured">
            <Sign kind="missing" /> <span>{T.notMeasured(what, reason)}</span>
        </p>
    );
}
