//! Plain values shared by every part of the project. No IO, no async.

pub(crate) mod access;
pub(crate) mod agent;
pub(crate) mod agent_message;
pub(crate) mod analysis_budget;
pub(crate) mod api_key;
pub(crate) mod bus_message;
pub(crate) mod calendar;
pub(crate) mod caller;
pub(crate) mod chat;
pub(crate) mod conversation;
pub(crate) mod cron;
pub(crate) mod document;
pub(crate) mod event;
pub(crate) mod finding;
#[cfg(all(test, feature = "test-util"))]
mod fuzz;
pub(crate) mod id;
pub(crate) mod limits;
pub(crate) mod metric;
pub(crate) mod model_permission;
mod new_task;
pub(crate) mod outcome;
pub(crate) mod page;
pub mod quota;
pub(crate) mod report;
pub(crate) mod retention;
pub(crate) mod rule;
pub(crate) mod schedule;
pub mod schema;
pub(crate) mod status;
pub mod task;
mod task_error;
pub(crate) mod trace;
pub(crate) mod user;

pub use access::AccessPolicy;
pub use agent::{AgentDescriptor, AgentStatus, Step, TaskDefaults, WaitUntil};
pub use agent_message::{AgentMessage, AgentMessageContent, AgentMessageType, Heartbeat};
pub use api_key::{ApiKey, NewApiKey, Scope};
pub use bus_message::BusMessage;
pub(crate) use calendar::earlier;
pub use calendar::later;
pub use caller::{Caller, Permission};
pub use chat::{
    ChatMessage, Constraint, Embeddings, FinishReason, GenerateRequest, ModelEvent, ModelInfo, ModelProcess,
    ModelPurpose, ModelUsage, ProcessState, Role,
};
pub use conversation::{
    Conversation, ConversationCursor, NewAnswer, NewConversation, NewMessage, StoredMessage,
};
pub use cron::CronTimes;
pub use document::{Chunk, Document, MediaType, NewDocument, Passage, PassageQuery, UploadKey};
pub use event::{EventKind, EventLogEntry, EventOffset, NewEvent, TaskEvent};
pub use finding::{Evidence, Finding, Remedy, Severity};
pub use id::{
    AgentMessageId, ApiKeyId, ConversationId, DocumentId, InstanceId, InvitationId, MessageId, ScheduleId,
    SessionId, TaskId, UserId,
};
pub(crate) use limits::ConcurrencyBudget;
pub use limits::ConcurrencyLimits;
pub use metric::{
    CgroupMetrics, ClockMetrics, ContainerInfo, ContainerMetrics, CpuMetrics, DeletedFiles, DeviceMetrics,
    DiskMetrics, EarlierValue, FileMetrics, GpuMetrics, HostMetrics, KernelLimit, KillInfo, KillMetrics,
    LOCAL_HOST, LimitUse, MemoryMetrics, MetricPoint, MetricSample, MissingFigures, NetworkMetrics, Pressure,
    PressureMetrics, ProcessInfo, ProcessMetrics, Section, Snapshot, SnapshotPart, SwapMetrics, TcpMetrics,
    TemperatureMetrics, UnansweredMount, ZombieParent,
};
pub use model_permission::{ModelMeasurement, ModelPermission, ModelPermissions};
pub use outcome::{Outcome, OutcomeRecord, Wait};
pub use page::{Page, PageLimit, PageRequest};
pub use quota::{DocumentQuota, MAX_API_KEYS, MAX_INVITATIONS, MAX_SCHEDULES, MAX_SESSIONS, MessageQuota};
pub use report::{
    Analysis, Assertion, AssertionKind, CheckedRule, CheckedText, GeneratedBy, Grounding, ModelUse,
    PriorityLevel, Recommendation, RefusedAttempt, RejectionReason,
};
pub use retention::{Pruned, RetentionBatch, RetentionPolicy};
pub use rule::{BoundDirection, BoundOperation, RelativeBound, RuleBounds, RuleDescriptor, RuleMetric};
pub use schedule::{MissedRuns, NewSchedule, OverlapPolicy, Schedule};
pub use status::TaskStatus;
pub use task::{
    Backlog, Claim, ClaimKey, FindingCounts, MAX_AHEAD, NewTask, PRIORITY_AGING, Task, TaskCount, TaskQuery,
    TaskSearch, TaskStatistics, TaskSummary, scheduling_key,
};
pub use task_error::TaskError;
pub use trace::TraceContext;
pub(crate) use user::REFRESH_REPEAT_WINDOW;
pub use user::{
    ChangedUser, Invitation, NewUser, Session, SpentToken, Successor, User, UserChange, UserCounts,
    UserQuery, UserRole,
};
