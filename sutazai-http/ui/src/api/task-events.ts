/** Events of one task while its page is shown: the past ones, then each new one. */
import { useEffect, useRef, useState } from "preact/hooks";
import { openStream } from "./client";
import { Failure } from "./failure";
import { follow } from "./live";
import { readEvents } from "./sse";
import type { TaskEvent } from "./types";

const SILENCE_MS = 35_000;
const RETRY_MS = 2000;
const GATHER_MS = 50;

export interface TaskEvents {
    events: TaskEvent[];
    /** The task has ended and all its events are here. */
    isWhole: boolean;
    failure: Failure | undefined;
}

export function useTaskEvents(id: string): TaskEvents {
    const [state, setState] = useState<TaskEvents>({ events: [], isWhole: false, failure: undefined });
    const [round, setRound] = useState(0);
    const isWhole = useRef(false);
    isWhole.current = state.isWhole;
    const retriedAt = useRef(0);
    // The stream of a task ends with it; a retry, here or elsewhere, begins another one.
    useEffect(
        () =>
            follow((event) => {
                const isRetry = event.task_id === id && event.type === "status" && event.status === "pending";
                if (!isRetry) return;
                retriedAt.current = event.sequence;
                if (isWhole.current) setRound((old) => old + 1);
            }),
        [id],
    );
    useEffect(() => {
        const abort = new AbortController();
        let isFirst = true;
        let last: string | undefined;
        let sequence = 0;
        let gathered: TaskEvent[] = [];
        let timer: ReturnType<typeof setTimeout> | undefined;
        const flush = () => {
            timer = undefined;
            const added = gathered;
            gathered = [];
            // What was shown before a retry stays until it arrives again.
            const replaces = isFirst;
            isFirst = false;
            setState((old) => ({
                isWhole: false,
                failure: undefined,
                events: replaces ? added : [...old.events, ...added],
            }));
        };
        const read = async () => {
            const headers: Record<string, string> = last === undefined ? {} : { "Last-Event-ID": last };
            const response = await openStream(`/api/v1/tasks/${id}/events`, { headers, signal: abort.signal });
            if (response.status === 204) return true;
            let ended = false;
            await readEvents(response, SILENCE_MS, (event) => {
                last = event.id ?? last;
                if (event.data === "") return;
                const task = JSON.parse(event.data) as TaskEvent;
                sequence = task.sequence;
                ended = task.type === "status" && ["completed", "failed", "cancelled"].includes(task.status);
                gathered.push(task);
                // Many pieces of text arrive at once; they are drawn together.
                timer ??= setTimeout(flush, GATHER_MS);
            });
            return ended;
        };
        const run = async () => {
            while (!abort.signal.aborted) {
                try {
                    if (await read()) {
                        // The retry was announced while the stream of the attempt before ended.
                        if (sequence < retriedAt.current) {
                            retriedAt.current = sequence;
                            continue;
                        }
                        if (timer) clearTimeout(timer);
                        flush();
                        setState((old) => ({ ...old, isWhole: true }));
                        return;
                    }
                } catch (error) {
                    if (abort.signal.aborted) return;
                    const failure = Failure.of(error);
                    if (failure.status >= 400 && failure.status !== 429) {
                        setState((old) => ({ ...old, failure }));
                        return;
                    }
                }
                await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
            }
        };
        void run();
        return () => {
            abort.abort();
            clearTimeout(timer);
        };
    }, [id, round]);
    return state;
}
