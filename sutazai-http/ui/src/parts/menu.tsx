/** Button with a list of further actions. */
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { T } from "../texts";
import { Icon } from "./icon";

export interface Item {
    name: string;
    run?: () => void;
    href?: string;
    download?: string;
}

interface Props {
    items: Item[];
    label?: string;
    /** Text on the button instead of the icon. */
    text?: string;
    /** Word below the icon. */
    caption?: string;
}

export function Menu({ items, label = T.more, text, caption }: Props) {
    const [open, setOpen] = useState(false);
    const id = useId();
    const root = useRef<HTMLDivElement>(null);
    useEffect(() => {
        if (!open) return undefined;
        root.current?.querySelector<HTMLElement>("[role=menuitem]")?.focus();
        const outside = (event: Event) => {
            if (!root.current?.contains(event.target as Node)) setOpen(false);
        };
        document.addEventListener("pointerdown", outside);
        return () => document.removeEventListener("pointerdown", outside);
    }, [open]);
    const close = () => {
        setOpen(false);
        root.current?.querySelector("button")?.focus();
    };
    const keys = (event: KeyboardEvent) => {
        if (!open) return;
        const all = [...(root.current?.querySelectorAll<HTMLElement>("[role=menuitem]") ?? [])];
        const at = all.indexOf(document.activeElement as HTMLElement);
        if (event.key === "Escape") close();
        else if (event.key === "ArrowDown") all[(at + 1) % all.length]?.focus();
        else if (event.key === "ArrowUp") all[(at - 1 + all.length) % all.length]?.focus();
        else if (event.key === "Tab") return setOpen(false);
        else return;
        event.preventDefault();
        event.stopPropagation();
    };
    return (
        // biome-ignore lint/a11y/noStaticElementInteractions: the keys belong to the items inside.
        <div class="menu" ref={root} onKeyDown={keys}>
            <button
                type="button"
                class={text ? "button quiet" : "button quiet small"}
                aria-haspopup="menu"
                aria-expanded={open}
                aria-controls={id}
                aria-label={text || caption ? undefined : label}
                data-menu
                onClick={() => setOpen(!open)}
            >
                {text ? (
                    <>
                        <bdi>{text}</bdi> <Icon name="chevron-down" />
                    </>
                ) : (
                    <>
                        <Icon name="ellipsis" />
                        {caption && <span>{caption}</span>}
                    </>
                )}
            </button>
            <div class="items" id={id} role="menu" hidden={!open} aria-label={label}>
                {items.map((item) =>
                    item.href ? (
                        <a
                            key={item.name}
                            role="menuitem"
                            tabIndex={-1}
                            href={item.href}
                            download={item.download}
                            onClick={() => setOpen(false)}
                        >
                            {item.name}
                        </a>
                    ) : (
                        <button
                            key={item.name}
                            type="button"
                            role="menuitem"
                            tabIndex={-1}
                            onClick={() => {
                                close();
                                item.run?.();
                            }}
                        >
                            {item.name}
                        </button>
                    ),
                )}
            </div>
        </div>
    );
}
