/** Lines above the page about its connection. */
import { useEffect, useState } from "preact/hooks";
import { resumesAt } from "./api/client";
import { live, online, retryNow } from "./api/live";
import { now } from "./lib/time";
import { coarse } from "./lib/units";
import { announce } from "./parts/announcer";
import { Icon, Sign } from "./parts/icon";
import { Clock } from "./parts/time";
import { T } from "./texts";

const QUIET_MS = 2000;
const BACK_MS = 3000;

function left(until: number): string {
    return coarse(Math.max(1, Math.ceil((until - now.value) / 1000)));
}

function Connection() {
    const state = live.value;
    const [wasAway, setWasAway] = useState(false);
    const [back, setBack] = useState(false);
    const isAway = state.kind === "away" && now.value - state.since > QUIET_MS;
    useEffect(() => {
        if (isAway) setWasAway(true);
        else if (wasAway && state.kind === "live") {
            setWasAway(false);
            setBack(true);
            announce(T.connection.back);
            setTimeout(() => setBack(false), BACK_MS);
        }
    }, [isAway, state.kind, wasAway]);
    if (!online.value || isAway) {
        const since = state.kind === "away" ? state.since : now.value;
        return (
            <div class="banner warning" role="status">
                <Icon name="wifi-off" />
                <span>
                    {online.value && state.kind === "away"
                        ? T.connection.away(left(state.retryAt))
                        : T.connection.offline}{" "}
                    {T.connection.shownFrom} <Clock at={since} precise />.
                </span>
                {online.value && (
                    <button type="button" class="button" onClick={retryNow}>
                        {T.connection.tryNow}
                    </button>
                )}
            </div>
        );
    }
    if (back) {
        return (
            <div class="banner good" role="status">
                <Sign kind="good" /> <span>{T.connection.back}</span>
            </div>
        );
    }
    return null;
}

export function Banners() {
    const wait = resumesAt.value;
    return (
        <>
            {!isSecureContext && (
                <div class="banner warning" role="status">
                    <Sign kind="warning" />
                    <span>
                        {T.connection.notEncrypted} {T.connection.howTls} <code>TLS_CERT</code>, <code>TLS_KEY</code>.
                    </span>
                </div>
            )}
            <Connection />
            {wait !== undefined && (
                <div class="banner warning" role="status">
                    <Sign kind="warning" /> <span>{T.connection.limited(left(wait))}</span>
                </div>
            )}
        </>
    );
}
