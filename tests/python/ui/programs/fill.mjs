/** Fills a server with data of every page, and prints the addresses of the pages as JSON. */
import { api, ARGUMENTS, browser, ended } from "./browser.mjs";

const [model] = ARGUMENTS;
const analyze = async (use_model) => (await api("POST", "/api/v1/agents/hardware-optimizer/analyze", { use_model })).task_id;
const first = await analyze(false);
await ended(first);
const second = await analyze(true);
await ended(second);

const later = new Date(Date.now() + 3_600_000).toISOString();
const hostile = `<img src=x onerror=alert(1)>\u202e ${"name ".repeat(36)}`.slice(0, 200);
const submit = (task) => api("POST", "/api/v1/tasks", { agent: "hardware-optimizer", payload: {}, run_at: later, ...task });
await submit({ title: hostile });
const cancelled = (await submit({ title: "Disks before the move" })).id;
await api("POST", `/api/v1/tasks/${cancelled}/cancel`);
await submit({ title: "Disks after the move" });

// No backend of these servers can pull models.
const pull = { agent: "model-puller", payload: { model: "tinyllama" }, max_attempts: 1 };
const failed = model ? (await api("POST", "/api/v1/tasks", pull)).id : undefined;
if (failed) await ended(failed);

const plan = { agent: "hardware-optimizer", name: "Morning look", cron: "30 7 * * MON-FRI", time_zone: "Europe/Berlin" };
await api("POST", "/api/v1/schedules", plan);
await api("POST", "/api/v1/schedules", { ...plan, name: "Every hour", cron: "0 * * * *", enabled: false });

const form = new FormData();
const text = "A lease lasts 10 seconds unless it is renewed by a heartbeat. ".repeat(80);
form.append("file", new Blob([`# Handbook\n\n${text}`]), "handbook.md");
const document = (await api("POST", "/api/v1/documents", form)).id;
const talk = model ? (await api("POST", "/api/v1/conversations", { title: "The sea" })).id : undefined;

console.log(
    JSON.stringify({
        machine: "#/",
        analyses: "#/analyses",
        "analysis-rules": `#/analyses/${first}`,
        "analysis-model": `#/analyses/${second}`,
        comparison: `#/analyses/${first}...${second}`,
        tasks: "#/tasks",
        "tasks-filtered": "#/tasks?status=processing",
        task: `#/tasks/${second}`,
        ...(failed ? { "task-failed": `#/tasks/${failed}` } : {}),
        "task-missing": "#/tasks/01930000-0000-7000-8000-000000000000",
        "new-task": "#/tasks/new",
        schedules: "#/schedules",
        documents: "#/documents",
        "documents-found": "#/documents?q=lease%20heartbeat",
        document: `#/documents/${document}?part=2&q=lease`,
        chat: "#/chat",
        ...(talk ? { talk: `#/chat/${talk}` } : {}),
        models: "#/models",
        admin: "#/admin",
        "admin-users": "#/admin/users",
        "admin-failed": "#/admin/failed",
        account: "#/account",
    }),
);
await browser.close();
