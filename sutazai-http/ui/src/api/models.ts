/** Models of the server, asked for once. */
import { useLoaded } from "./cache";
import { api, data } from "./client";

export function useModelList() {
    return useLoaded("models", () => data(api.GET("/api/v1/models")));
}

/** True once it is known that the server has no model: none is listed, or no backend is configured. */
export function useNoModel(): boolean {
    const { value, failure } = useModelList();
    return value?.items.length === 0 || failure?.message === "no model backend is configured";
}

export function useModels() {
    return useModelList().value?.items ?? [];
}
