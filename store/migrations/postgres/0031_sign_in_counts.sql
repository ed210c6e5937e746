-- +goose Up
-- How many of the attempts to sign in that an hour has kept came in, and how
-- many did not: a chart of a week adds up hours. Of those that are there the
-- class is in their record alone; they are counted under none.
ALTER TABLE login_trace_counts ADD COLUMN came BIGINT NOT NULL DEFAULT 0;
ALTER TABLE login_trace_counts ADD COLUMN failed BIGINT NOT NULL DEFAULT 0;
INSERT INTO login_trace_counts (hour, connection, class, kept, lost, came, failed)
    SELECT finished - finished % 3600000000, connection, '', 0, 0,
        sum(CASE WHEN came_in AND person <> '' THEN 1 ELSE 0 END), sum(CASE WHEN came_in THEN 0 ELSE 1 END)
    FROM login_traces WHERE TRUE GROUP BY 1, 2
    ON CONFLICT (hour, connection, class) DO UPDATE SET came = excluded.came, failed = excluded.failed;

-- The log of one connection, in its order; those that failed may be few.
CREATE INDEX login_traces_log ON login_traces (connection, seq);
CREATE INDEX login_traces_log_failed ON login_traces (connection, seq) WHERE NOT came_in;
