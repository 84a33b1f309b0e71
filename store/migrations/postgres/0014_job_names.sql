-- Whom jobs name, so that a job is found when somebody whom it names is erased: changes of tags, and syncs of chosen
-- followers. Kept by the database itself, in the transaction that asks for the job.
CREATE TABLE job_names (
    account   TEXT NOT NULL,            -- the job's
    openid    TEXT NOT NULL,
    job_key   BIGINT NOT NULL,
    PRIMARY KEY (account, openid, job_key)
);
-- What can be an openid: nobody is known by anything else, which may be too long for an index. jsonb cannot hold a NUL.
CREATE FUNCTION weir_named(request TEXT) RETURNS SETOF TEXT LANGUAGE sql IMMUTABLE AS $$
    SELECT DISTINCT e.openid FROM jsonb_array_elements_text(
        COALESCE(replace(request, '\u0000', '\u0020')::jsonb -> 'openids', '[]')) e (openid)
    WHERE e.openid ~ '^[A-Za-z0-9_-]{1,128}$'
$$;
CREATE FUNCTION weir_job_names() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO job_names (account, openid, job_key) SELECT NEW.account, n, NEW.job_key FROM weir_named(NEW.request) n;
    RETURN NULL;
END $$;
CREATE TRIGGER jobs_name AFTER INSERT ON jobs FOR EACH ROW WHEN (NEW.kind IN ('tags', 'sync')) EXECUTE FUNCTION weir_job_names();

INSERT INTO job_names (account, openid, job_key)
    SELECT j.account, n, j.job_key FROM jobs j CROSS JOIN LATERAL weir_named(j.request) n WHERE j.kind IN ('tags', 'sync');
-- What has become of followers is said by their places in the request now: what is over said it by openid, and nobody waits for it.
DELETE FROM jobs WHERE kind = 'tags' AND ended_ms IS NOT NULL AND request LIKE '%"openids":%';
-- Nor for what still names somebody who was erased since.
DELETE FROM jobs WHERE kind = 'sync' AND ended_ms IS NOT NULL AND EXISTS (
    SELECT 1 FROM job_names n CROSS JOIN accounts a CROSS JOIN users u CROSS JOIN erasures e WHERE n.job_key = jobs.job_key
    AND a.name = n.account AND u.account_key = a.account_key AND u.openid = n.openid AND e.user_key = u.user_key AND e.at_ms >= jobs.asked_ms);
DELETE FROM job_names WHERE NOT EXISTS (SELECT 1 FROM jobs j WHERE j.job_key = job_names.job_key);
