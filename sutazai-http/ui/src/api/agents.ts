/** Agents of the server. */
import { useLoaded } from "./cache";
import { api, data } from "./client";

/** Agent that analyzes the machine. */
export const AGENT = "hardware-optimizer";

/** Lists all agents; asks for them once. */
export function useAgents() {
    return useLoaded("agents", () => data(api.GET("/api/v1/agents"))).value?.items ?? [];
}
