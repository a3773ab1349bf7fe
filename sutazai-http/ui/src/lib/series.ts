/** Brings series with times of their own onto one axis, with gaps left open. */
export interface Sample {
    /** Seconds since 1970. */
    at: number;
    mean: number;
    min: number;
    max: number;
}

export interface Aligned {
    times: number[];
    /** For each series its means, least and largest values; `null` where it has none. */
    columns: { mean: (number | null)[]; min: (number | null)[]; max: (number | null)[] }[];
}

const GAP = 2.5;

/** Returns the median distance of the samples in seconds; 0 for fewer than two. */
export function step(samples: readonly Sample[]): number {
    const steps = samples.slice(1).map((sample, index) => sample.at - (samples[index]?.at ?? 0));
    return steps.sort((a, b) => a - b)[Math.floor(steps.length / 2)] ?? 0;
}

/** Returns the times at which a gap begins: a little after the last sample before it. */
export function gaps(samples: readonly Sample[]): number[] {
    const usual = step(samples);
    if (usual === 0) return [];
    return samples.slice(1).flatMap((sample, index) => {
        const before = samples[index]?.at ?? 0;
        return sample.at - before > usual * GAP ? [before + usual] : [];
    });
}

/** Series of one request are sampled together, so their times agree up to a second. */
export function align(series: readonly (readonly Sample[])[]): Aligned {
    const byTime = new Map<number, (Sample | undefined)[]>();
    for (const [index, samples] of series.entries()) {
        for (const sample of samples) {
            const at = Math.round(sample.at);
            const row = byTime.get(at) ?? Array<Sample | undefined>(series.length).fill(undefined);
            row[index] = sample;
            byTime.set(at, row);
        }
        for (const gap of gaps(samples)) {
            const at = Math.round(gap);
            if (!byTime.has(at)) byTime.set(at, Array<Sample | undefined>(series.length).fill(undefined));
        }
    }
    const times = [...byTime.keys()].sort((a, b) => a - b);
    const column = (index: number, part: "mean" | "min" | "max") =>
        times.map((at) => byTime.get(at)?.[index]?.[part] ?? null);
    return {
        times,
        columns: series.map((_, index) => ({
            mean: column(index, "mean"),
            min: column(index, "min"),
            max: column(index, "max"),
        })),
    };
}

/** Returns the index of the time nearest to `at`. */
export function nearest(times: readonly number[], at: number): number {
    let low = 0;
    let high = times.length - 1;
    while (low < high) {
        const middle = (low + high) >> 1;
        if ((times[middle] ?? 0) < at) low = middle + 1;
        else high = middle;
    }
    const before = times[low - 1];
    return before !== undefined && at - before < (times[low] ?? 0) - at ? low - 1 : low;
}
