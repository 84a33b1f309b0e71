-- Whom jobs name, so that a job is found when somebody whom it names is erased: changes of tags, and syncs of chosen
-- followers. Kept by the database itself, in the transaction that asks for the job.
CREATE TABLE job_names (
    account   TEXT NOT NULL,            -- the job's
    openid    TEXT NOT NULL,
    job_key   INTEGER NOT NULL,
    PRIMARY KEY (account, openid, job_key)
) STRICT, WITHOUT ROWID;
-- What can be an openid: nobody is known by anything else.
CREATE TRIGGER jobs_name AFTER INSERT ON jobs WHEN NEW.kind IN ('tags', 'sync') BEGIN
    INSERT OR IGNORE INTO job_names (account, openid, job_key)
        SELECT NEW.account, e.value, NEW.job_key FROM json_each(NEW.request, '$.openids') e
        WHERE e.value NOT GLOB '*[^A-Za-z0-9_-]*' AND length(e.value) BETWEEN 1 AND 128 AND instr(CAST(e.value AS BLOB), x'00') = 0;
END;

INSERT INTO job_names (account, openid, job_key)
    SELECT DISTINCT j.account, e.value, j.job_key FROM jobs j, json_each(j.request, '$.openids') e
    WHERE e.value NOT GLOB '*[^A-Za-z0-9_-]*' AND length(e.value) BETWEEN 1 AND 128 AND instr(CAST(e.value AS BLOB), x'00') = 0 AND j.kind IN ('tags', 'sync');
-- What has become of followers is said by their places in the request now: what is over said it by openid, and nobody waits for it.
DELETE FROM jobs WHERE kind = 'tags' AND ended_ms IS NOT NULL AND request LIKE '%"openids":%';
-- Nor for what still names somebody who was erased since.
DELETE FROM jobs WHERE kind = 'sync' AND ended_ms IS NOT NULL AND EXISTS (
    SELECT 1 FROM job_names n CROSS JOIN accounts a CROSS JOIN users u CROSS JOIN erasures e WHERE n.job_key = jobs.job_key
    AND a.name = n.account AND u.account_key = a.account_key AND u.openid = n.openid AND e.user_key = u.user_key AND e.at_ms >= jobs.asked_ms);
DELETE FROM job_names WHERE NOT EXISTS (SELECT 1 FROM jobs j WHERE j.job_key = job_names.job_key);
