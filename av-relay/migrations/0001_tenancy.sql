-- Tenants, people and devices. Every table carries tenant_id, and every unique and foreign key begins with it:
-- such keys are checked beneath row-level security, and without the tenant they would tell one tenant that a
-- row of another exists.
--
-- Everything below is owned by av_owner. The traffic role av_app gets no more than the statements in the code
-- need, and the policy below is the only thing that it ever sees a row through.

CREATE SCHEMA av;
REVOKE ALL ON SCHEMA av FROM PUBLIC;
GRANT USAGE ON SCHEMA av TO av_app;

CREATE TABLE av.tenants (
    tenant_id  bytea PRIMARY KEY CHECK (octet_length(tenant_id) = 16),
    -- tenant_id is its hash, so a row cannot name another tenant's root.
    root_key   bytea NOT NULL CHECK (octet_length(root_key) = 32),
    -- Statements posted so far: gives each its place, and its row lock puts changes of authority in one order.
    statements bigint NOT NULL DEFAULT 0 CHECK (statements >= 0),
    founded_at timestamptz NOT NULL DEFAULT now()
);

-- A person. Devices belong to whoever invited them.
CREATE TABLE av.users (
    tenant_id  bytea NOT NULL REFERENCES av.tenants,
    user_id    bytea NOT NULL CHECK (octet_length(user_id) = 16),
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, user_id)
);

CREATE TABLE av.devices (
    tenant_id       bytea NOT NULL,
    device_id       bytea NOT NULL CHECK (octet_length(device_id) = 16),
    user_id         bytea NOT NULL,
    device_public   bytea NOT NULL CHECK (octet_length(device_public) = 74),
    -- 1 owner, 2 agent: the second byte of device_public.
    role            smallint NOT NULL GENERATED ALWAYS AS (get_byte(device_public, 1)) STORED CHECK (role IN (1, 2)),
    status          text NOT NULL
        CHECK (status IN ('pending', 'approved', 'active', 'suspended', 'rejected', 'revoked')),
    -- Of the enrollment request; a founder has none.
    transcript      bytea CHECK (octet_length(transcript) = 32),
    -- Known from the approval on.
    approved_by     bytea CHECK (octet_length(approved_by) = 16),
    chain           bytea,
    enroll_grant    bytea,
    activation      bytea CHECK (octet_length(activation) = 64),
    -- One-time prekey ids up to here were published before; a retry must not bring back one that was handed out.
    one_time_high   bigint NOT NULL DEFAULT -1,
    created_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, device_id),
    FOREIGN KEY (tenant_id, user_id) REFERENCES av.users,
    CHECK (status IN ('pending', 'rejected') OR chain IS NOT NULL)
);

ALTER TABLE av.tenants ENABLE ROW LEVEL SECURITY;
ALTER TABLE av.tenants FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON av.tenants
    USING (tenant_id = (SELECT decode(nullif(current_setting('app.tenant_id', true), ''), 'hex')))
    WITH CHECK (tenant_id = (SELECT decode(nullif(current_setting('app.tenant_id', true), ''), 'hex')));
GRANT SELECT, INSERT, UPDATE ON av.tenants TO av_app;

ALTER TABLE av.users ENABLE ROW LEVEL SECURITY;
ALTER TABLE av.users FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON av.users
    USING (tenant_id = (SELECT decode(nullif(current_setting('app.tenant_id', true), ''), 'hex')))
    WITH CHECK (tenant_id = (SELECT decode(nullif(current_setting('app.tenant_id', true), ''), 'hex')));
GRANT SELECT, INSERT ON av.users TO av_app;

ALTER TABLE av.devices ENABLE ROW LEVEL SECURITY;
ALTER TABLE av.devices FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON av.devices
    USING (tenant_id = (SELECT decode(nullif(current_setting('app.tenant_id', true), ''), 'hex')))
    WITH CHECK (tenant_id = (SELECT decode(nullif(current_setting('app.tenant_id', true), ''), 'hex')));
GRANT SELECT, INSERT, UPDATE ON av.devices TO av_app;
