/** Button that loads the next page of a list; absent at its end. */
import { T } from "../texts";
import { attempt } from "./toasts";

export function More({ load }: { load: (() => Promise<void>) | undefined }) {
    if (!load) return null;
    return (
        <p>
            <button type="button" class="button" onClick={() => void attempt(load)}>
                {T.showMore}
            </button>
        </p>
    );
}
