/** Parses the small Markdown of model answers: paragraphs, lists, code, emphasis. Images and links stay text. */

export type Inline =
    | { kind: "text" | "strong" | "em" | "code"; text: string }
    | { kind: "link"; text: string; address: string };

export type Block =
    | { kind: "paragraph" | "heading"; content: Inline[] }
    | { kind: "list"; ordered: boolean; items: Inline[][] }
    | { kind: "code"; text: string };

const ITEM = /^\s{0,3}(?:[-*+]|(\d{1,9})[.)])\s+(.*)$/;
const HEADING = /^#{1,6}\s+(.*)$/;
const FENCE = /^\s{0,3}```/;
const INLINE =
    /`([^`]+)`|\*\*([^*]+)\*\*|__([^_]+)__|\*([^*\s][^*]*)\*|\[([^\]]*)\]\(([^)\s]+)\)|(https?:\/\/[^\s<>"')]+)/g;

export function inline(text: string): Inline[] {
    const parts: Inline[] = [];
    let end = 0;
    for (const match of text.matchAll(INLINE)) {
        if (match.index > end) parts.push({ kind: "text", text: text.slice(end, match.index) });
        end = match.index + match[0].length;
        const [, code, strong, strong2, em, label, address, bare] = match;
        if (code !== undefined) parts.push({ kind: "code", text: code });
        else if (strong ?? strong2) parts.push({ kind: "strong", text: (strong ?? strong2) as string });
        else if (em !== undefined) parts.push({ kind: "em", text: em });
        else if (address !== undefined) parts.push({ kind: "link", text: label || address, address });
        else if (bare !== undefined) parts.push({ kind: "link", text: bare, address: bare });
    }
    if (end < text.length) parts.push({ kind: "text", text: text.slice(end) });
    return parts;
}

export function parse(text: string): Block[] {
    const blocks: Block[] = [];
    const lines = text.split("\n");
    let paragraph: string[] = [];
    const close = () => {
        if (paragraph.length > 0) blocks.push({ kind: "paragraph", content: inline(paragraph.join("\n")) });
        paragraph = [];
    };
    for (let row = 0; row < lines.length; row += 1) {
        const line = lines[row] ?? "";
        const item = ITEM.exec(line);
        const heading = HEADING.exec(line);
        if (FENCE.test(line)) {
            close();
            // An answer that is still written may lack the closing fence.
            const code: string[] = [];
            for (row += 1; row < lines.length && !FENCE.test(lines[row] ?? ""); row += 1) code.push(lines[row] ?? "");
            blocks.push({ kind: "code", text: code.join("\n").replace(/\n+$/, "") });
        } else if (heading) {
            close();
            blocks.push({ kind: "heading", content: inline(heading[1] ?? "") });
        } else if (item) {
            close();
            const ordered = item[1] !== undefined;
            const last = blocks.at(-1);
            const content = inline(item[2] ?? "");
            if (last?.kind === "list" && last.ordered === ordered) last.items.push(content);
            else blocks.push({ kind: "list", ordered, items: [content] });
        } else if (line.trim() === "") {
            close();
        } else {
            paragraph.push(line);
        }
    }
    close();
    return blocks;
}
