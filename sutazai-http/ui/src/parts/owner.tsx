/** Name of the user who owns a task, for admins and where it is somebody else. */
import { user } from "../api/session";
import type { TaskItem } from "../api/types";
import { Name } from "./name";

export function Owner({ task }: { task: Pick<TaskItem, "owner" | "owner_name"> }) {
    if (!task.owner_name || task.owner === user()?.id) return null;
    return (
        <>
            <Name text={task.owner_name} /> ·{" "}
        </>
    );
}
