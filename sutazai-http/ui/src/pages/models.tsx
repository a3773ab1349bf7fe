/** Models of the server: which ones are there, and how they are. */
import { useState } from "preact/hooks";
import { forget } from "../api/cache";
import { api, data } from "../api/client";
import { useModelList, useNoModel } from "../api/models";
import { isAdmin } from "../api/session";
import { progressOf, useTasks } from "../api/tasks";
import type { Model } from "../api/types";
import { bytes, count, counted, three } from "../lib/units";
import { Dialog } from "../parts/dialog";
import { TextField } from "../parts/field";
import { FormError, useForm } from "../parts/form";
import { Sign } from "../parts/icon";
import { Progress } from "../parts/meter";
import { Name } from "../parts/name";
import { Empty, Failed, Loading, sentence } from "../parts/notice";
import { titleOf } from "../parts/task-row";
import { useTitle } from "../parts/title";
import { T } from "../texts";

const PULLER = "model-puller";

function parameters(number: number): string {
    return number >= 1e9 ? `${three(number / 1e9)} B` : `${three(number / 1e6)} M`;
}

function Row({ model }: { model: Model }) {
    const { process } = model;
    const writes = model.permissions.includes("choose") || model.permissions.includes("word");
    const facts = [
        model.parameters != null ? T.models.parameters(parameters(model.parameters)) : undefined,
        model.size_bytes != null ? bytes(model.size_bytes) : undefined,
        model.context_length != null ? T.models.context(count(model.context_length)) : undefined,
    ].filter(Boolean);
    return (
        <li class="model">
            <p class="row wrap">
                <b>
                    <Name text={model.name} max={60} />
                </b>
                {model.default && <span class="tag">{T.models.answers}</span>}
                {writes && <span class="tag">{T.models.writes}</span>}
                {model.purpose === "embed" && <span class="tag">{T.models.embeds}</span>}
                <span class="space" />
                <span class="muted">
                    <Name text={T.models.backends[model.backend as "ollama"] ?? model.backend} />
                </span>
            </p>
            <p class="muted">{facts.join(" · ")}</p>
            {process && (
                <p>
                    <Sign kind={process.state === "ready" ? "good" : "processing"} />{" "}
                    {T.models.states[process.state as "ready"] ?? process.state}
                    {process.variant && <span class="muted"> · {process.variant}</span>}
                    {process.crashes > 0 && (
                        <span class="muted">
                            {" · "}
                            {counted(process.crashes, T.models.crash, T.models.crashes)}
                            {process.last_crash && <>: {process.last_crash}</>}
                        </span>
                    )}
                </p>
            )}
            {model.default && model.permissions_note && <p class="unmeasured">{sentence(model.permissions_note)}</p>}
            {model.note && <p class="unmeasured">{sentence(model.note)}</p>}
        </li>
    );
}

/** Models that are being fetched, with their progress. */
function Fetching() {
    const list = useTasks({ agent: PULLER, status: ["pending", "processing"], limit: 20 });
    if (!list.items || list.items.length === 0) return null;
    return (
        <section aria-labelledby="fetching">
            <h2 id="fetching">{T.models.fetching}</h2>
            <ul class="list">
                {list.items.map((task) => {
                    const progress = progressOf(task.id).value;
                    return (
                        <li key={task.id} class="row">
                            <Sign kind={task.status} named />
                            <a href={`#/tasks/${task.id}`}>
                                <bdi>{titleOf(task)}</bdi>
                            </a>
                            <span class="grow">
                                <Progress name={titleOf(task)} share={progress?.fraction ?? 0} />
                            </span>
                            <span class="muted">{progress?.message ?? T.signs[task.status]}</span>
                        </li>
                    );
                })}
            </ul>
        </section>
    );
}

function Fetch({ close }: { close: () => void }) {
    const [model, setModel] = useState("");
    const form = useForm(async () => {
        await data(api.POST("/api/v1/models/pull", { body: { model: model.trim() } }));
        forget("tasks");
        close();
    });
    return (
        <Dialog title={T.models.fetch} close={close}>
            <form class="stack body" onSubmit={form.submit}>
                <TextField
                    label={T.models.name}
                    hint={T.models.nameHint}
                    value={model}
                    set={setModel}
                    required
                    maxLength={200}
                    autofocus
                    error={form.about("model")}
                />
                {form.failure && !form.failure.field && <FormError text={sentence(form.failure.message)} />}
                <footer>
                    <button type="button" class="button" onClick={close}>
                        {T.cancel}
                    </button>
                    <button type="submit" class="button primary" aria-disabled={form.busy}>
                        {T.models.fetch}
                    </button>
                </footer>
            </form>
        </Dialog>
    );
}

export default function Models() {
    const loaded = useModelList();
    const [fetching, setFetching] = useState(false);
    useTitle(T.places.models);
    const noModel = useNoModel();
    const items = loaded.value?.items;
    const fetched = loaded.value?.fetching;
    return (
        <div class="page">
            <div class="head">
                <h1>{T.places.models}</h1>
                <span class="space" />
                {isAdmin() && (
                    <button type="button" class="button primary" data-primary onClick={() => setFetching(true)}>
                        {T.models.fetch}
                    </button>
                )}
            </div>
            {!items && loaded.failure && !noModel && <Failed failure={loaded.failure} retry={loaded.reload} />}
            {!items && !loaded.failure && <Loading what={T.places.models} lines={4} retry={loaded.reload} />}
            {noModel && (
                <Empty>
                    {T.models.none} {!isAdmin() && T.models.askAdmin}
                </Empty>
            )}
            {items && items.length > 0 && (
                <ul class="list">
                    {items.map((model) => (
                        <Row key={`${model.backend}/${model.name}`} model={model} />
                    ))}
                </ul>
            )}
            {loaded.value && items && items.length > 0 && (
                <p class="muted">
                    {T.models.queue(loaded.value.queue.running, loaded.value.queue.slots, loaded.value.queue.waiting)}
                </p>
            )}
            {!isAdmin() && fetched && fetched.length > 0 && (
                <p class="muted">{T.models.beingFetched(fetched.join(", "))}</p>
            )}
            <Fetching />
            {fetching && <Fetch close={() => setFetching(false)} />}
        </div>
    );
}
