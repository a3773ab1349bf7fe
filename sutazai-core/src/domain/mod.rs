//! Plain values shared by every part of the project. No IO, no async.

pub mod access;
pub mod agent;
pub mod agent_message;
pub mod analysis_budget;
pub mod api_key;
pub mod bus_message;
pub mod calendar;
pub mod caller;
pub mod chat;
pub mod conversation;
pub mod cron;
pub mod document;
pub mod event;
pub mod finding;
#[cfg(all(test, feature = "testing"))]
mod fuzz;
pub mod id;
pub mod limits;
pub mod metric;
pub mod model_permission;
pub mod outcome;
pub mod page;
pub mod quota;
pub mod report;
pub mod retention;
pub mod schedule;
pub mod schema;
pub mod status;
pub mod task;
mod task_error;
pub mod trace;
pub mod user;

pub use access::AccessPolicy;
pub use agent::{AgentDescriptor, AgentStatus, Step};
pub use agent_message::{AgentMessage, AgentMessageContent, AgentMessagePage, AgentMessageType, Heartbeat};
pub use api_key::{ApiKey, NewApiKey, Scope};
pub use bus_message::BusMessage;
pub use calendar::{earlier, later};
pub use caller::{Caller, Permission};
pub use chat::{
    ChatMessage, Constraint, Embeddings, FinishReason, GenerateRequest, ModelEvent, ModelInfo, ModelProcess,
    ModelUsage, ProcessState, Role,
};
pub use conversation::{
    Conversation, ConversationPage, ConversationQuery, MessagePage, NewConversation, NewMessage,
    StoredMessage,
};
pub use cron::CronTimes;
pub use document::{
    Chunk, Document, DocumentPage, DocumentQuery, MediaType, NewDocument, Passage, PassageQuery, UploadKey,
};
pub use event::{EventKind, EventLogEntry, EventLogPage, EventOffset, NewEvent, TaskEvent};
pub use finding::{Evidence, Finding, Remedy, Severity};
pub use id::{
    AgentMessageId, ApiKeyId, ConversationId, DocumentId, InstanceId, InvitationId, MessageId, ScheduleId,
    SessionId, TaskId, UserId,
};
pub use limits::{ConcurrencyBudget, ConcurrencyLimits};
pub use metric::{
    CgroupMetrics, ClockMetrics, ContainerInfo, ContainerMetrics, CpuMetrics, DeletedFiles, DeviceMetrics,
    DiskMetrics, EarlierValue, FileMetrics, GpuMetrics, HostMetrics, KernelLimit, KillInfo, KillMetrics,
    LOCAL_HOST, LimitUse, MemoryMetrics, MetricSample, MissingFigures, NetworkMetrics, Pressure,
    PressureMetrics, ProcessInfo, ProcessMetrics, Section, Snapshot, SnapshotPart, SwapMetrics, TcpMetrics,
    TemperatureMetrics, UnansweredMount, ZombieParent,
};
pub use model_permission::{ModelMeasurement, ModelPermission, ModelPermissions};
pub use outcome::{Outcome, OutcomeRecord};
pub use page::{MAX_PAGE_BYTES, PageBounds};
pub use quota::{DocumentQuota, MAX_API_KEYS, MAX_INVITATIONS, MAX_SCHEDULES, MAX_SESSIONS, MessageQuota};
pub use report::{
    Analysis, Assertion, AssertionKind, CheckedText, GeneratedBy, Grounding, ModelUse, PriorityLevel,
    Recommendation, RefusedAttempt, RejectionReason,
};
pub use retention::{Pruned, RetentionBatch, RetentionPolicy};
pub use schedule::{MissedRuns, NewSchedule, OverlapPolicy, Schedule, SchedulePage, ScheduleQuery};
pub use status::TaskStatus;
pub use task::{
    Backlog, Claim, ClaimKey, NewTask, PRIORITY_AGING, Task, TaskCount, TaskPage, TaskQuery, TaskStatistics,
    scheduling_key,
};
pub use task_error::TaskError;
pub use trace::TraceContext;
pub use user::{
    ChangedUser, Invitation, NewUser, REFRESH_REPEAT_WINDOW, Session, SpentToken, Successor, User,
    UserChange, UserCounts, UserPage, UserQuery, UserRole,
};
