/** Sheet of all keys that work on this page. */
import { commands } from "../keyboard";
import { look } from "../look";
import { T } from "../texts";
import { Dialog } from "./dialog";

export function KeySheet({ close }: { close: () => void }) {
    const shown = new Map(commands.value.filter((one) => one.keys !== "").map((one) => [one.keys, one.name]));
    return (
        <Dialog title={T.keys.title} close={close}>
            <div class="body">
                {!look.value.singleKeys && <p class="unmeasured">{T.keys.off}</p>}
                <dl class="keys">
                    {[...shown].map(([keys, name]) => (
                        <div key={keys}>
                            <dt>
                                {keys.split(" ").map((key) => (
                                    <kbd key={key}>{key}</kbd>
                                ))}
                            </dt>
                            <dd>{name}</dd>
                        </div>
                    ))}
                </dl>
            </div>
        </Dialog>
    );
}
