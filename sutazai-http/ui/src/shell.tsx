/** Frame of all pages: navigation, header, banners, dialogs, and the page of the address. */
import { useSignalEffect } from "@preact/signals";
import { Component, type ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import { Failure } from "./api/failure";
import { live, online, startLive } from "./api/live";
import { access, begin, isAdmin, signOut, user } from "./api/session";
import { startTasks, useTaskCounts } from "./api/tasks";
import { Banners } from "./banners";
import { type Command, useCommands } from "./keyboard";
import { lazy } from "./lazy";
import { look, setLook } from "./look";
import { SignInAgain } from "./pages/sign-in";
import { Announcer } from "./parts/announcer";
import { Icon, Sign } from "./parts/icon";
import { KeySheet } from "./parts/key-sheet";
import { Menu } from "./parts/menu";
import { Failed, Loading } from "./parts/notice";
import { Palette } from "./parts/palette";
import { Toasts } from "./parts/toasts";
import { open, route } from "./router";
import { T } from "./texts";

const Admin = lazy(() => import("./pages/admin"));
const Account = lazy(() => import("./pages/account"));
const Analyses = lazy(() => import("./pages/analyses"));
const Analysis = lazy(() => import("./pages/analysis"));
const Comparison = lazy(() => import("./pages/comparison"));
const Chat = lazy(() => import("./pages/chat"));
const Documents = lazy(() => import("./pages/documents"));
const Machine = lazy(() => import("./pages/machine"));
const Models = lazy(() => import("./pages/models"));
const NewTask = lazy(() => import("./pages/new-task"));
const Schedules = lazy(() => import("./pages/schedules"));
const Tasks = lazy(() => import("./pages/tasks"));
const TaskPage = lazy(() => import("./pages/task"));
const Entrance = lazy(() => import("./pages/entrance"));

export interface Place {
    name: string;
    path: string;
    icon: string;
    keys: string;
}

/** Pages of the navigation that this user has. */
export function places(): Place[] {
    const all: (Place & { show: boolean })[] = [
        { name: T.places.machine, path: "", icon: "activity", keys: "g m", show: true },
        { name: T.places.analyses, path: "analyses", icon: "archive", keys: "g a", show: true },
        { name: T.places.tasks, path: "tasks", icon: "list-checks", keys: "g t", show: true },
        { name: T.places.schedules, path: "schedules", icon: "calendar-clock", keys: "g s", show: true },
        { name: T.places.documents, path: "documents", icon: "files", keys: "g d", show: true },
        { name: T.places.chat, path: "chat", icon: "message-square", keys: "g c", show: true },
        { name: T.places.models, path: "models", icon: "cpu", keys: "", show: true },
        { name: T.places.admin, path: "admin", icon: "shield", keys: "", show: isAdmin() },
        { name: T.places.account, path: "account", icon: "user", keys: "", show: user() !== undefined },
    ];
    return all.filter((place) => place.show);
}

function Page() {
    const { path } = route.value;
    const [first = "", second] = path;
    switch (first) {
        case "":
            return <Machine />;
        case "analyses":
            if (second?.includes("...")) return <Comparison key={second} pair={second} />;
            return second ? <Analysis key={second} id={second} /> : <Analyses />;
        case "tasks":
            if (second === "new") return <NewTask />;
            return second ? <TaskPage key={second} id={second} /> : <Tasks />;
        case "schedules":
            return <Schedules />;
        case "documents":
            return <Documents id={second} />;
        case "chat":
            return <Chat id={second} />;
        case "models":
            return <Models />;
        case "admin":
            return <Admin tab={second} />;
        case "account":
            return <Account />;
        case "sign-in":
        case "register":
        case "setup":
            return <Gone />;
        default:
            return (
                <div class="empty">
                    {T.noSuchPage} <a href="#/">{T.places.machine}</a>
                </div>
            );
    }
}

/** Leaves the pages of the entrance once somebody is signed in. */
function Gone() {
    useEffect(() => open("#/"), []);
    return null;
}

/** Catches faults of the pages, so that none is blank. */
class Guard extends Component<{ at: string; children: ComponentChildren }, { fault: Failure | undefined }> {
    override state = { fault: undefined };

    override componentDidCatch(error: unknown) {
        this.setState({ fault: Failure.of(error) });
    }

    override componentDidUpdate(before: { at: string }) {
        if (before.at !== this.props.at && this.state.fault) this.setState({ fault: undefined });
    }

    render() {
        const fault = this.state.fault as Failure | undefined;
        if (!fault) return this.props.children;
        return (
            <>
                <Failed failure={fault} retry={() => this.setState({ fault: undefined })} />
                <p>
                    <a href="#/">{T.places.machine}</a>
                </p>
            </>
        );
    }
}

function useShellCommands(showKeys: () => void, showPalette: () => void): void {
    const list = places();
    const commands: Command[] = [
        ...list.map(
            (place): Command => ({
                keys: place.keys,
                name: place.name,
                kind: "page",
                run: () => open(`#/${place.path}`),
            }),
        ),
        { keys: "?", name: T.keys.title, kind: "action", run: showKeys },
        { keys: "Ctrl+K", name: T.palette.title, kind: "action", run: showPalette },
        {
            keys: "/",
            name: T.keys.filter,
            kind: "action",
            run: () => document.querySelector<HTMLElement>("[data-filter]")?.focus(),
        },
        {
            keys: "n",
            name: T.keys.primary,
            kind: "action",
            run: () => document.querySelector<HTMLElement>("[data-primary]")?.click(),
        },
        ...(user() ? [{ keys: "", name: T.signOut, kind: "action" as const, run: () => void signOut() }] : []),
        { keys: "", name: T.palette.theme, kind: "action", run: nextTheme },
    ];
    useCommands(commands, [list.length, user() === undefined]);
}

function nextTheme(): void {
    const dark = matchMedia("(prefers-color-scheme: dark)").matches;
    const { theme } = look.value;
    const isDark = theme === "dark" || (theme === "system" && dark);
    setLook({ theme: isDark ? "light" : "dark" });
}

function LiveMark() {
    const state = online.value ? live.value.kind : "away";
    return (
        <span class={`connection ${state}`} role="status">
            <i aria-hidden="true" /> {T.live[state]}
        </span>
    );
}

function Navigation() {
    const list = places();
    const here = route.value.path[0] ?? "";
    const running = useTaskCounts()?.["processing"] ?? 0;
    const link = (inBar: boolean) => (place: Place) => (
        <a key={place.path} href={`#/${place.path}`} aria-current={here === place.path ? "page" : undefined}>
            <Icon name={place.icon} />
            <span>{inBar && place.path === "" ? T.places.short : place.name}</span>
            {place.path === "tasks" && running > 0 && <span class="badge number">{running}</span>}
        </a>
    );
    const inBar = list.filter((place) => ["", "tasks", "documents", "chat"].includes(place.path));
    return (
        <>
            <nav class="rail" aria-label={T.navigation}>
                <a class="brand" href="#/">
                    SutazAI
                </a>
                {list.map(link(false))}
            </nav>
            <nav class="bar" aria-label={T.navigation}>
                {inBar.map(link(true))}
                <Menu
                    label={T.more}
                    caption={T.more}
                    items={list
                        .filter((place) => !inBar.includes(place))
                        .map((place) => ({ name: place.name, href: `#/${place.path}` }))}
                />
            </nav>
        </>
    );
}

function Header({ showPalette, showKeys }: { showPalette: () => void; showKeys: () => void }) {
    const name = user()?.username;
    return (
        <header class="top">
            <LiveMark />
            <span class="space" />
            <button type="button" class="button quiet" onClick={showPalette} aria-label={T.palette.title}>
                <Icon name="search" /> <span class="wide-only">{T.palette.open}</span>
                <kbd class="wide-only">{/Mac|iP/.test(navigator.platform) ? "⌘K" : "Ctrl K"}</kbd>
            </button>
            <button
                type="button"
                class="button quiet small wide-only"
                onClick={showKeys}
                aria-label={T.keys.title}
                title={T.keys.title}
            >
                <Icon name="circle-question-mark" />
            </button>
            {name && (
                <Menu
                    label={T.signedInAs(name)}
                    text={name}
                    items={[
                        { name: T.places.account, href: "#/account" },
                        { name: T.signOut, run: () => void signOut() },
                    ]}
                />
            )}
        </header>
    );
}

function Inside() {
    const [keysShown, setKeysShown] = useState(false);
    const [paletteShown, setPaletteShown] = useState(false);
    useEffect(() => {
        startLive();
        startTasks();
    }, []);
    const showKeys = () => setKeysShown(true);
    const showPalette = () => setPaletteShown(true);
    useShellCommands(showKeys, showPalette);
    return (
        <div class="frame">
            <button type="button" class="skip button" onClick={() => document.getElementById("main")?.focus()}>
                {T.skip}
            </button>
            <Navigation />
            <div class="column">
                <Header showPalette={showPalette} showKeys={showKeys} />
                <Banners />
                <main id="main" tabIndex={-1}>
                    <Guard at={route.value.path.join("/")}>
                        <Page />
                    </Guard>
                </main>
            </div>
            {keysShown && <KeySheet close={() => setKeysShown(false)} />}
            {paletteShown && <Palette close={() => setPaletteShown(false)} />}
            {access.value.kind === "ended" && <SignInAgain name={access.value.user.username} />}
        </div>
    );
}

export function Shell() {
    const state = access.value;
    useSignalEffect(() => {
        document.documentElement.dataset["session"] = access.value.kind;
    });
    return (
        <>
            {state.kind === "unknown" && <Loading what={T.page} lines={0} />}
            {state.kind === "unreachable" && (
                <div class="entrance">
                    <p class="row">
                        <Sign kind="warning" /> {T.unreachable}
                    </p>
                    <button type="button" class="button primary" onClick={() => void begin()}>
                        {T.tryAgain}
                    </button>
                </div>
            )}
            {state.kind === "none" && (
                <Entrance needsAdmin={state.needsAdmin} openRegistration={state.openRegistration} />
            )}
            {(state.kind === "open" || state.kind === "in" || state.kind === "ended") && <Inside />}
            <Toasts />
            <Announcer />
        </>
    );
}
