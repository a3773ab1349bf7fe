/** A failed request as the pages show it. */

interface ErrorBody {
    error?: {
        code?: string;
        message?: string;
        details?: { field?: string; retry_after_seconds?: number; checks?: unknown };
    };
    metadata?: { trace_id?: string };
}

/** The server could not be reached, or it answered with an error. */
export class Failure extends Error {
    constructor(
        message: string,
        /** HTTP status; 0 if there was no response. */
        readonly status: number,
        readonly code: string,
        readonly field: string | undefined,
        readonly retryAfter: number | undefined,
        readonly trace: string | undefined,
        /** Whole `error` object of the server. */
        readonly body: ErrorBody["error"],
    ) {
        super(message);
    }

    static unreachable(): Failure {
        return new Failure(
            "the server cannot be reached",
            0,
            "unreachable",
            undefined,
            undefined,
            undefined,
            undefined,
        );
    }

    static from(status: number, body: unknown): Failure {
        const { error, metadata } = (typeof body === "object" && body !== null ? body : {}) as ErrorBody;
        return new Failure(
            error?.message ?? `the server answered with status ${status}`,
            status,
            error?.code ?? "unknown",
            error?.details?.field,
            error?.details?.retry_after_seconds,
            metadata?.trace_id,
            error,
        );
    }

    static of(error: unknown): Failure {
        if (error instanceof Failure) return error;
        const message = error instanceof Error ? error.message : String(error);
        return new Failure(message, -1, "interface", undefined, undefined, undefined, undefined);
    }
}
