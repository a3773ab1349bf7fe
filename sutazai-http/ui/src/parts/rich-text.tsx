/** Answer of a model: the small Markdown of the pages, drawn as elements, never as HTML. */
import { useMemo } from "preact/hooks";
import { type Block, type Inline, parse } from "../lib/markdown";
import { T } from "../texts";
import { Copy } from "./copy";

const TAGS = { text: "span", strong: "strong", em: "em", code: "code" } as const;

function Line({ content }: { content: readonly Inline[] }) {
    return (
        <>
            {content.map((part, index) => {
                const key = `${index}`;
                if (part.kind !== "link") {
                    const Tag = TAGS[part.kind];
                    return <Tag key={key}>{part.text}</Tag>;
                }
                // A model may write any address: it is shown, not opened.
                return (
                    <span key={key} class="address">
                        {part.text !== part.address && `${part.text} `}
                        <code>{part.address}</code>
                        <Copy text={part.address} what={T.chat.link} />
                    </span>
                );
            })}
        </>
    );
}

function Part({ block }: { block: Block }) {
    if (block.kind === "code") {
        return (
            <div class="command">
                <pre>
                    <code>{block.text}</code>
                </pre>
                <Copy text={block.text} what={T.chat.code} />
            </div>
        );
    }
    if (block.kind === "list") {
        const items = block.items.map((item, index) => (
            <li key={index}>
                <Line content={item} />
            </li>
        ));
        return block.ordered ? <ol>{items}</ol> : <ul>{items}</ul>;
    }
    return (
        <p class={block.kind === "heading" ? "strong" : ""}>
            <Line content={block.content} />
        </p>
    );
}

export function RichText({ text }: { text: string }) {
    const blocks = useMemo(() => parse(text), [text]);
    return (
        <div class="rich">
            {blocks.map((block, index) => (
                <Part key={index} block={block} />
            ))}
        </div>
    );
}
