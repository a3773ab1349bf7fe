/** Modal dialog; Escape closes it and the focus returns to where it was. */
import type { ComponentChildren } from "preact";
import { useId, useLayoutEffect, useRef } from "preact/hooks";
import { T } from "../texts";
import { Icon } from "./icon";

interface Props {
    title: string;
    close?: (() => void) | undefined;
    children: ComponentChildren;
    wide?: boolean;
}

export function Dialog({ title, close, children, wide = false }: Props) {
    const id = useId();
    const dialog = useRef<HTMLDialogElement>(null);
    // Before the next event, so that no key pressed after the one that opened the dialog goes to the page.
    useLayoutEffect(() => {
        const before = document.activeElement;
        dialog.current?.showModal();
        return () => {
            if (before instanceof HTMLElement) before.focus();
        };
    }, []);
    return (
        <dialog
            ref={dialog}
            class={wide ? "dialog wide" : "dialog"}
            aria-labelledby={id}
            onCancel={(event) => {
                event.preventDefault();
                close?.();
            }}
        >
            <header>
                <h2 id={id}>{title}</h2>
                {close && (
                    <button type="button" class="button quiet small" aria-label={T.close} onClick={close}>
                        <Icon name="x" />
                    </button>
                )}
            </header>
            {children}
        </dialog>
    );
}

interface ConfirmProps {
    title: string;
    children: ComponentChildren;
    /** Word on the button that acts. */
    action: string;
    run: () => void;
    close: () => void;
    dangerous?: boolean;
}

/** Question before an action that cannot be undone and concerns others. */
export function Confirm({ title, children, action, run, close, dangerous = true }: ConfirmProps) {
    return (
        <Dialog title={title} close={close}>
            <div class="body">{children}</div>
            <footer>
                <button type="button" class="button" onClick={close}>
                    {T.cancel}
                </button>
                <button
                    type="button"
                    class={dangerous ? "button danger" : "button primary"}
                    onClick={() => {
                        close();
                        run();
                    }}
                >
                    {action}
                </button>
            </footer>
        </Dialog>
    );
}
