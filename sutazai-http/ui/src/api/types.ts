/** Names for the types of the OpenAPI document that several files use. */
import type { components } from "./schema";

type Schemas = components["schemas"];

export type User = Schemas["User"];
export type ManagedUser = Schemas["ManagedUser"];
export type Task = Schemas["Task"];
/** Task with its place in the queue. */
export type TaskDetails = Schemas["TaskDetails"];
/** Task of a list, without its payload and result. */
export type TaskItem = Schemas["TaskSummary"];
export type Status = Task["status"];
export type Agent = Schemas["Agent"];
export type Schedule = Schemas["Schedule"];
export type Snapshot = Schemas["Snapshot"];
export type Analysis = Schemas["Analysis"];
export type Finding = Schemas["Finding"];
export type Evidence = Schemas["Evidence"];
export type Recommendation = Schemas["Recommendation"];
export type CheckedText = Schemas["CheckedText"];
export type Assertion = Schemas["Assertion"];
export type CheckedRule = Schemas["CheckedRule"];
export type Rule = Schemas["Rule"];
export type TaskEvent = Schemas["TaskEvent"];
export type MetricHistory = Schemas["MetricHistory"];
export type Model = Schemas["Model"];
export type Conversation = Schemas["Conversation"];
export type Message = Schemas["Message"];
export type Document = Schemas["Document"];
export type Passage = Schemas["Passage"];
export type Chunk = Schemas["Chunk"];
export type Session = Schemas["Session"];
export type ApiKey = Schemas["ApiKey"];
export type Severity = Finding["severity"];
export type Priority = NonNullable<TaskItem["priority_level"]>;
