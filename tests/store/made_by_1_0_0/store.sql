CREATE TABLE pihupulse_creates (
    job integer NOT NULL,
    item bytea NOT NULL,
    key bytea NOT NULL,
    at double precision NOT NULL,
    object_id character varying(255)
);
CREATE TABLE pihupulse_cursors (
    connection character varying(255) NOT NULL,
    consumer character varying(255) NOT NULL,
    "position" bigint NOT NULL,
    moved_at double precision NOT NULL
);
CREATE TABLE pihupulse_events (
    "position" bigint NOT NULL,
    connection character varying(255) NOT NULL,
    event character varying(255) NOT NULL,
    identity bytea NOT NULL,
    received_at double precision NOT NULL,
    screening_id character varying(255),
    candidate_id character varying(255),
    template_id character varying(255),
    body bytea NOT NULL
);
CREATE TABLE pihupulse_inbox (
    id integer NOT NULL,
    "position" bigint NOT NULL
);
CREATE TABLE pihupulse_jobs (
    id integer NOT NULL,
    account character varying(32) NOT NULL,
    name character varying(1000) NOT NULL,
    started_at double precision NOT NULL,
    owner character varying(16) NOT NULL,
    fingerprint character varying(64),
    marked_at double precision
);
CREATE SEQUENCE pihupulse_jobs_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE pihupulse_jobs_id_seq OWNED BY pihupulse_jobs.id;
CREATE TABLE pihupulse_limits (
    account character varying(64) NOT NULL,
    state text NOT NULL
);
CREATE TABLE pihupulse_progress (
    connection character varying(255) NOT NULL,
    account character varying(32) NOT NULL,
    kind character varying(16) NOT NULL,
    subject character varying(255) NOT NULL,
    stage integer NOT NULL
);
CREATE TABLE pihupulse_reads (
    connection character varying(255) NOT NULL,
    consumer character varying(255) NOT NULL,
    reader character varying(64) NOT NULL,
    start_position bigint NOT NULL,
    end_position bigint NOT NULL,
    read_at double precision NOT NULL
);
CREATE TABLE pihupulse_sweeps (
    connection character varying(255) NOT NULL,
    account character varying(32) NOT NULL,
    kind character varying(16) NOT NULL,
    begun_at double precision NOT NULL,
    told_since double precision,
    wanted_since double precision
);
ALTER TABLE ONLY pihupulse_jobs ALTER COLUMN id SET DEFAULT nextval('pihupulse_jobs_id_seq'::regclass);
INSERT INTO pihupulse_creates VALUES (1, '\x03030303030303030303030303030303', '\x67676767676767676767676767676767', 1795741637.833498, NULL);
INSERT INTO pihupulse_creates VALUES (1, '\x01010101010101010101010101010101', '\x65656565656565656565656565656565', 1795741637.838976, 'cand_1');
INSERT INTO pihupulse_creates VALUES (1, '\x02020202020202020202020202020202', '\x66666666666666666666666666666666', 1795741637.838976, 'cand_2');
INSERT INTO pihupulse_cursors VALUES ('pihupulse_default', 'reports', 2, 1790000000);
INSERT INTO pihupulse_events VALUES (1, 'pihupulse_default', 'screening.completed', '\x1b8ea7bcf9efdefa0b9a8e8a2358fad4278c7ca722a9212f4b05ab64c3e75760', 1790000000, 'scr_1', 'cand_1', NULL, '\x7b226576656e74223a202273637265656e696e672e636f6d706c65746564222c202264617461223a207b2273637265656e696e675f6964223a20227363725f31222c202263616e6469646174655f6964223a202263616e645f31227d7d');
INSERT INTO pihupulse_events VALUES (2, 'pihupulse_default', 'screening.completed', '\xe4ef3ed48d76e64649b90b543624bd572401af6f4b075e34abfadfb84f632f49', 1790000000, 'scr_2', 'cand_2', NULL, '\x7b226576656e74223a202273637265656e696e672e636f6d706c65746564222c202264617461223a207b2273637265656e696e675f6964223a20227363725f32222c202263616e6469646174655f6964223a202263616e645f32227d7d');
INSERT INTO pihupulse_events VALUES (3, 'pihupulse_default', 'screening.completed', '\x16d33cf179ee2a837956338e91469bd5e87c3e7eef3070a7583323839155be01', 1790000000, 'scr_3', 'cand_3', NULL, '\x7b226576656e74223a202273637265656e696e672e636f6d706c65746564222c202264617461223a207b2273637265656e696e675f6964223a20227363725f33222c202263616e6469646174655f6964223a202263616e645f33227d7d');
INSERT INTO pihupulse_inbox VALUES (1, 3);
INSERT INTO pihupulse_jobs VALUES (1, '1142c85911e46ff86778060aa1b46419', 'dag/run/import/-1', 1795741637.823361, '9c6573ec95925a79', 'source', 1795741637.833498);
INSERT INTO pihupulse_jobs VALUES (2, '1142c85911e46ff86778060aa1b46419', 'dag/run/create/-1', 1795741637.841129, '0c70482fbc69ccbc', NULL, NULL);
INSERT INTO pihupulse_limits VALUES ('1142c85911e46ff86778060aa1b46419', '{"told": [600.0, 600.0], "full_at": 1790956939.7343946, "paused_until": 0.0, "strikes": 0, "pauses": 0, "window_end": 0.0, "window_used": 1, "window_size": 0.0, "first_reset": 0.0, "refills": false, "crowding": 1.0, "polls_at": 0.0, "worked_at": 1795741637.806368}');
INSERT INTO pihupulse_progress VALUES ('pihupulse_default', '1142c85911e46ff86778060aa1b46419', 'screenings', 'scr_1', 2);
INSERT INTO pihupulse_progress VALUES ('pihupulse_default', '1142c85911e46ff86778060aa1b46419', 'screenings', 'scr_2', 1);
INSERT INTO pihupulse_reads VALUES ('pihupulse_default', 'reports', 'fd15b0cfb93658c5b7a1dbef2272c830001a55480164142746bea7e02006d26a', 0, 2, 1790000000);
INSERT INTO pihupulse_sweeps VALUES ('pihupulse_default', '1142c85911e46ff86778060aa1b46419', 'screenings', 1790000000, 1789999900, 1789999900);
SELECT pg_catalog.setval('pihupulse_jobs_id_seq', 2, true);
ALTER TABLE ONLY pihupulse_creates
    ADD CONSTRAINT pihupulse_creates_pkey PRIMARY KEY (job, item);
ALTER TABLE ONLY pihupulse_cursors
    ADD CONSTRAINT pihupulse_cursors_pkey PRIMARY KEY (connection, consumer);
ALTER TABLE ONLY pihupulse_events
    ADD CONSTRAINT pihupulse_events_identity_key UNIQUE (identity);
ALTER TABLE ONLY pihupulse_events
    ADD CONSTRAINT pihupulse_events_pkey PRIMARY KEY ("position");
ALTER TABLE ONLY pihupulse_inbox
    ADD CONSTRAINT pihupulse_inbox_pkey PRIMARY KEY (id);
ALTER TABLE ONLY pihupulse_jobs
    ADD CONSTRAINT pihupulse_jobs_pkey PRIMARY KEY (id);
ALTER TABLE ONLY pihupulse_limits
    ADD CONSTRAINT pihupulse_limits_pkey PRIMARY KEY (account);
ALTER TABLE ONLY pihupulse_progress
    ADD CONSTRAINT pihupulse_progress_pkey PRIMARY KEY (connection, account, kind, subject);
ALTER TABLE ONLY pihupulse_reads
    ADD CONSTRAINT pihupulse_reads_pkey PRIMARY KEY (connection, consumer, reader);
ALTER TABLE ONLY pihupulse_sweeps
    ADD CONSTRAINT pihupulse_sweeps_pkey PRIMARY KEY (connection, account, kind);
CREATE INDEX ix_pihupulse_events_received_at ON pihupulse_events USING btree (received_at);
CREATE INDEX ix_pihupulse_events_screening_id ON pihupulse_events USING btree (screening_id);
CREATE INDEX ix_pihupulse_reads_read_at ON pihupulse_reads USING btree (read_at);
CREATE INDEX pihupulse_creates_object ON pihupulse_creates USING btree (object_id);
CREATE UNIQUE INDEX pihupulse_jobs_name ON pihupulse_jobs USING btree (account, name);
