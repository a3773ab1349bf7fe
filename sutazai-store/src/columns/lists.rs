//! Lists of the columns of the entities. The table of each may have columns that only one database needs;
//! the statements that write them name them.

use sutazai_core::domain::{
    AgentMessage, ApiKey, BusMessage, ChatMessage, Chunk, Conversation, Document, Invitation, MetricSample,
    NewSchedule, Schedule, Session, SpentToken, StoredMessage, Task, TaskEvent, User,
};
use sutazai_core::task_store::Record;

use super::rows::{AgentHeartbeat, RelayPosition, Wait};
use super::{
    Column, Entity, Pair, Reader, Row, Value, Written, cast, column, columns, kind_of, kinds_of, name,
    written,
};
use crate::error::StoreResult;

columns! {
    Record as task_columns {
        #[later] last_sequence,
        #[changes] awaited,
    }
    with task: Task {
        id,
        owner,
        agent,
        title,
        description,
        payload,
        priority,
        timeout_seconds,
        max_attempts,
        #[changes] run_at,
        idempotency_key,
        unique_key,
        #[later] status: task_status,
        #[later] attempt,
        #[later] failures,
        #[later] result,
        #[later] error,
        #[later] state,
        parent as parent_id,
        #[later] waiting_for,
        #[later] cancel_requested,
        #[changes] worker,
        #[changes] lease_until,
        created_at,
        #[later] updated_at,
        #[changes] started_at,
        #[later] finished_at,
        trace,
    }
    without damaged
}

/// Columns of a task that its owner can make large. A summary has none of them.
pub(crate) const TASK_CONTENT: &[&str] = &["payload", "result", "state"];

/// Columns of a summary that its owner can make large.
pub(crate) const SUMMARY_CONTENT: &[&str] = &["title", "description"];

columns! {
    TaskEvent as event_columns {
        task_id,
        sequence,
        at,
        kind,
    }
}

columns! {
    Wait as wait_columns {
        parent as parent_id,
        position,
        child as child_id,
        open,
    }
}

columns! {
    AgentMessage as agent_message_columns {
        id,
        task_id,
        correlation_id,
        source,
        target,
        timestamp,
    }
    and content as (type, payload)
}

columns! {
    BusMessage as outbox_columns {
        id,
        topic,
        body,
        trace,
    }
}

columns! {
    RelayPosition as relay_columns {
        position,
        #[changes] holder,
        #[changes] held_until,
    }
}

columns! {
    AgentHeartbeat as agent_columns {
        name,
        last_seen_at,
    }
}

columns! {
    Schedule as schedule_columns {
        id,
        owner,
        #[changes] next_run_at,
        last_run_at,
        last_task,
        #[changes] queued,
        created_at,
        #[changes] updated_at,
    }
    with plan: NewSchedule {
        #[changes] name,
        #[changes] agent,
        #[changes] payload,
        #[changes] priority,
        #[changes] cron,
        #[changes] time_zone,
        #[changes] missed_runs,
        #[changes] overlap_policy,
        #[changes] enabled,
    }
}

columns! {
    User as user_columns {
        id,
        username,
        email,
        password_hash,
        role,
        disabled,
        created_at,
        last_login_at,
    }
}

columns! {
    Session as session_columns {
        id,
        user as user_id,
        refresh_hash,
        created_at,
        refreshed_at,
        expires_at,
        revoked_at,
        user_agent,
    }
}

columns! {
    SpentToken as spent_token_columns {
        spent_at,
        salt,
    }
}

columns! {
    Invitation as invitation_columns {
        id,
        hash,
        created_by,
        created_at,
        expires_at,
    }
}

columns! {
    ApiKey as api_key_columns {
        id,
        user as user_id,
        name,
        prefix,
        hash,
        scopes,
        requests_per_minute,
        created_at,
        expires_at,
        last_used_at,
    }
}

columns! {
    Conversation as conversation_columns {
        id,
        owner,
        title,
        model,
        system,
        created_at,
        updated_at,
    }
}

columns! {
    StoredMessage as message_columns {
        id,
        conversation as conversation_id,
        created_at,
        cut,
        usage,
    }
    with message: ChatMessage {
        role,
        content,
    }
}

columns! {
    Document as document_columns {
        id,
        owner,
        title,
        media_type,
        size_bytes,
        chunks,
        created_at,
    }
    and upload_key as (upload_key, upload_digest)
}

columns! {
    Chunk as chunk_columns {
        document as document_id,
        index as number,
        start as start_char,
        end as end_char,
        text,
    }
}

/// Columns of `metric_series` that a sample has: the key of its series.
pub(crate) const SERIES: &[Column<MetricSample>] =
    &[column!([host]; MetricSample, host), column!([series as name]; MetricSample, series)];

/// Columns of `metric_samples` that a sample has, after the id of its series. Samples are read only as points of
/// several, whose parts the statements compute.
pub(crate) const SAMPLE: &[Column<MetricSample>] =
    &[column!([at]; MetricSample, at), column!([value] changes; MetricSample, value)];
