-- Whom jobs name, so that a job is found when somebody whom it names is erased: changes of tags, and syncs of chosen
-- followers. Kept by the database itself, in the transaction that asks for the job.
CREATE TABLE job_names (
    account   TEXT NOT NULL,            -- the job's
    openid    TEXT NOT NULL,
    job_key   BIGINT NOT NULL,
    PRIMARY KEY (account, openid, job_key)
);
CREATE FUNCTION weir_job_names() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO job_names (account, openid, job_key)
        SELECT NEW.account, e.openid, NEW.job_key
        FROM jsonb_array_elements_text(COALESCE(NEW.request::jsonb -> 'openids', '[]')) e (openid)
        ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;
CREATE TRIGGER jobs_name AFTER INSERT ON jobs FOR EACH ROW WHEN (NEW.kind IN ('tags', 'sync')) EXECUTE FUNCTION weir_job_names();

INSERT INTO job_names (account, openid, job_key)
    SELECT DISTINCT j.account, e.openid, j.job_key
    FROM jobs j CROSS JOIN LATERAL jsonb_array_elements_text(COALESCE(j.request::jsonb -> 'openids', '[]')) e (openid)
    WHERE j.kind IN ('tags', 'sync');
-- What has become of followers is said by their places in the request now: what is over said it by openid, and nobody waits for it.
DELETE FROM jobs WHERE kind = 'tags' AND ended_ms IS NOT NULL AND job_key IN (SELECT n.job_key FROM job_names n);
-- Nor for what still names somebody who was erased since.
DELETE FROM jobs WHERE kind = 'sync' AND ended_ms IS NOT NULL AND EXISTS (
    SELECT 1 FROM job_names n CROSS JOIN accounts a CROSS JOIN users u CROSS JOIN erasures e WHERE n.job_key = jobs.job_key
    AND a.name = n.account AND u.account_key = a.account_key AND u.openid = n.openid AND e.user_key = u.user_key AND e.at_ms >= jobs.asked_ms);
DELETE FROM job_names WHERE NOT EXISTS (SELECT 1 FROM jobs j WHERE j.job_key = job_names.job_key);
