/** Agents of the server. */
import { useLoaded } from "./cache";
import { api, data } from "./client";

/** Agent that analyzes the machine. */
export const AGENT = "hardware-optimizer";

/** Loads all agents, once. */
export function useAgentList() {
    return useLoaded("agents", () => data(api.GET("/api/v1/agents")));
}

/** Lists all agents; none until they are loaded. */
export function useAgents() {
    return useAgentList().value?.items ?? [];
}
