/** Pages for admins: health and numbers, users, failed tasks. */
import { isPending, useLoaded } from "../api/cache";
import { api, data } from "../api/client";
import { Failure } from "../api/failure";
import { isAdmin, user } from "../api/session";
import type { Status } from "../api/types";
import { coarse, count, duration } from "../lib/units";
import { Sign } from "../parts/icon";
import { Failed, Loading, sentence } from "../parts/notice";
import { Ago } from "../parts/time";
import { useTitle } from "../parts/title";
import { T } from "../texts";
import { FailedTasks } from "./admin-failed";
import { Users } from "./admin-users";

interface Check {
    name: string;
    status: "healthy" | "degraded" | "unhealthy";
    duration_ms: number;
    reason?: string;
}

interface Health {
    status: Check["status"];
    checks: Check[];
    at: string;
}

const STATUSES: readonly Status[] = ["completed", "failed", "processing", "pending", "cancelled"];
/** Left out on narrow screens. */
const RARE: readonly Status[] = ["processing", "pending", "cancelled"];
const SIGNS = { healthy: "good", degraded: "warning", unhealthy: "critical" } as const;

/** The report is the data of 200 and the details of 503. */
async function loadHealth(): Promise<Health> {
    const at = new Date().toISOString();
    try {
        return { ...((await data(api.GET("/health/ready"))) as unknown as Omit<Health, "at">), at };
    } catch (error) {
        const failure = Failure.of(error);
        const details = failure.body?.details as Partial<Health> | undefined;
        if (details?.status && details.checks) return { status: details.status, checks: details.checks, at };
        throw failure;
    }
}

function useHealth() {
    return useLoaded("health", loadHealth);
}

function useNumbers() {
    return useLoaded("admin/statistics", () => data(api.GET("/api/v1/admin/statistics")));
}

/** Health and numbers. They are drawn once both are known, so that nothing moves afterwards. */
function Overview() {
    if ([useHealth(), useNumbers()].some(isPending)) return <Loading what={T.admin.health} lines={10} />;
    return (
        <>
            <HealthReport />
            <Numbers />
            <Server />
        </>
    );
}

function HealthReport() {
    const { value, failure, reload } = useHealth();
    if (failure) return <Failed failure={failure} retry={reload} />;
    if (!value) return null;
    return (
        <section aria-labelledby="health" class="card">
            <div class="head">
                <h2 id="health" class="row">
                    <Sign kind={SIGNS[value.status]} /> {T.admin.states[value.status]}
                </h2>
                <span class="space" />
                <span class="muted">
                    {T.admin.checked} <Ago at={value.at} />
                </span>
                <button type="button" class="button" onClick={reload}>
                    {T.admin.checkAgain}
                </button>
            </div>
            <ul class="checks">
                {value.checks.map((check) => (
                    <li key={check.name}>
                        <Sign kind={SIGNS[check.status]} named />
                        <span>
                            {T.admin.checks[check.name as "database"] ?? check.name}{" "}
                            <span class="muted number">{duration(check.duration_ms)}</span>
                        </span>
                        {check.reason && <p>{sentence(check.reason)}</p>}
                    </li>
                ))}
                {!value.checks.some((check) => check.name === "redis") && (
                    <li>
                        <Sign kind="missing" named />
                        <span>{T.admin.noRedis}</span>
                    </li>
                )}
            </ul>
        </section>
    );
}

function Numbers() {
    const { value, failure, reload } = useNumbers();
    if (failure) return <Failed failure={failure} retry={reload} />;
    if (!value) return null;
    const { tasks, queue, users } = value;
    const agents = Object.entries(tasks.by_agent);
    return (
        <>
            <div class="tiles three">
                <div class="card">
                    <h2>{T.admin.queue}</h2>
                    <p class="figure number">{count(queue.depth)}</p>
                    <p class="muted">
                        {T.admin.waiting}
                        {queue.oldest_age_seconds > 0 && (
                            <>, {T.admin.oldest(duration(queue.oldest_age_seconds * 1000))}</>
                        )}
                    </p>
                </div>
                <div class="card">
                    <h2>{T.places.tasks}</h2>
                    <p class="figure number">{count(tasks.total)}</p>
                    <p class="muted">
                        {(["processing", "failed", "completed"] as const)
                            .map((status) => `${count(tasks.by_status[status] ?? 0)} ${T.signs[status].toLowerCase()}`)
                            .join(", ")}
                    </p>
                </div>
                <div class="card">
                    <h2>{T.admin.people}</h2>
                    {users ? (
                        <>
                            <p class="figure number">{count(users.total)}</p>
                            <p class="muted">{T.admin.active(users.active, users.disabled)}</p>
                        </>
                    ) : (
                        <p class="muted">{T.admin.noUsers}</p>
                    )}
                </div>
            </div>
            {agents.length > 0 && (
                <section aria-labelledby="by-agent">
                    <h2 id="by-agent">{T.admin.byAgent}</h2>
                    <div class="scroll">
                        <table class="rows">
                            <thead>
                                <tr>
                                    <th scope="col">{T.tasks.agent}</th>
                                    {STATUSES.map((status) => (
                                        <th
                                            key={status}
                                            scope="col"
                                            class={RARE.includes(status) ? "number wide-only" : "number"}
                                        >
                                            {T.signs[status]}
                                        </th>
                                    ))}
                                </tr>
                            </thead>
                            <tbody>
                                {agents.map(([agent, by]) => (
                                    <tr key={agent}>
                                        <th scope="row">{agent}</th>
                                        {STATUSES.map((status) => (
                                            <td
                                                key={status}
                                                class={RARE.includes(status) ? "number wide-only" : "number"}
                                            >
                                                {count(by[status] ?? 0)}
                                            </td>
                                        ))}
                                    </tr>
                                ))}
                            </tbody>
                        </table>
                    </div>
                </section>
            )}
        </>
    );
}

function Server() {
    const { value } = useLoaded("alive", () => data(api.GET("/health")));
    if (!value) return null;
    return (
        <p class="muted">
            SutazAI {value.version} · {T.machine.up(coarse(value.uptime_seconds))} ·{" "}
            <a href="../api/docs/">{T.admin.docs}</a>
        </p>
    );
}

export default function Admin({ tab }: { tab: string | undefined }) {
    useTitle(T.places.admin);
    if (!isAdmin()) return <p class="empty">{T.notAllowed(user()?.username ?? "")}</p>;
    const tabs = [
        ["", T.admin.overview],
        ...(user() ? ([["users", T.admin.users]] as const) : []),
        ["failed", T.admin.failed],
    ] as const;
    const now = tab ?? "";
    return (
        <div class="page">
            <div class="head">
                <h1>{T.places.admin}</h1>
                <nav class="tabs" aria-label={T.places.admin}>
                    {tabs.map(([path, name]) => (
                        <a
                            key={path}
                            href={`#/admin${path ? `/${path}` : ""}`}
                            aria-current={path === now ? "page" : undefined}
                        >
                            {name}
                        </a>
                    ))}
                </nav>
            </div>
            {now === "" && <Overview />}
            {now === "users" && <Users />}
            {now === "failed" && <FailedTasks />}
        </div>
    );
}
