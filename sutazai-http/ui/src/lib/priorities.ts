/** Priorities of a task with their words, as options of a field. */
import { T } from "../texts";

export const PRIORITIES = Array.from(
    { length: 10 },
    (_, level) => [String(level), T.newTask.priorities(level)] as const,
);
