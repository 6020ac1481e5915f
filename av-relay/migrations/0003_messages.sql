-- Messages, the inboxes they wait in, and what became of them.

-- A pair of devices, made by their first message. Counts and times only.
CREATE TABLE av.conversations (
    tenant_id       bytea NOT NULL,
    low_device      bytea NOT NULL,
    high_device     bytea NOT NULL,
    messages        bigint NOT NULL DEFAULT 1 CHECK (messages > 0),
    started_at      timestamptz NOT NULL DEFAULT now(),
    last_message_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, low_device, high_device),
    FOREIGN KEY (tenant_id, low_device) REFERENCES av.devices,
    FOREIGN KEY (tenant_id, high_device) REFERENCES av.devices,
    CHECK (low_device < high_device)
);

CREATE TABLE av.inboxes (
    tenant_id     bytea NOT NULL,
    device_id     bytea NOT NULL,
    -- Random; changed when the database is restored from a backup.
    epoch         bytea NOT NULL CHECK (octet_length(epoch) = 16),
    -- Sequences are given under this row's lock, which is held until the commit: that is what makes them
    -- gapless and in commit order.
    next_sequence bigint NOT NULL DEFAULT 1 CHECK (next_sequence > 0),
    acknowledged  bigint NOT NULL DEFAULT 0 CHECK (acknowledged >= 0 AND acknowledged < next_sequence),
    PRIMARY KEY (tenant_id, device_id),
    FOREIGN KEY (tenant_id, device_id) REFERENCES av.devices
);

CREATE TABLE av.messages (
    tenant_id   bytea NOT NULL,
    sender      bytea NOT NULL,
    message_id  bytea NOT NULL CHECK (octet_length(message_id) = 16),
    recipient   bytea NOT NULL,
    header_blob bytea NOT NULL,
    ciphertext  bytea NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, sender, message_id),
    FOREIGN KEY (tenant_id, sender) REFERENCES av.devices,
    FOREIGN KEY (tenant_id, recipient) REFERENCES av.devices
);
-- Ciphertext does not compress; trying to costs time and gains nothing.
ALTER TABLE av.messages ALTER COLUMN header_blob SET STORAGE EXTERNAL;
ALTER TABLE av.messages ALTER COLUMN ciphertext SET STORAGE EXTERNAL;

-- What waits for a device: a message, a statement, or word that a device it approved took up its certificate.
CREATE TABLE av.inbox_entries (
    tenant_id  bytea NOT NULL,
    device_id  bytea NOT NULL,
    sequence   bigint NOT NULL CHECK (sequence > 0),
    sender     bytea,
    message_id bytea,
    issuer     bytea,
    serial     bigint,
    activated  bytea,
    PRIMARY KEY (tenant_id, device_id, sequence),
    FOREIGN KEY (tenant_id, device_id) REFERENCES av.inboxes,
    FOREIGN KEY (tenant_id, sender, message_id) REFERENCES av.messages,
    FOREIGN KEY (tenant_id, issuer, serial) REFERENCES av.statements,
    FOREIGN KEY (tenant_id, activated) REFERENCES av.devices,
    CHECK ((sender IS NULL) = (message_id IS NULL)),
    CHECK ((issuer IS NULL) = (serial IS NULL)),
    CHECK (num_nonnulls(message_id, serial, activated) = 1)
);
-- Deleting a message looks for entries that still name it.
CREATE INDEX inbox_entries_by_message ON av.inbox_entries (tenant_id, sender, message_id)
    WHERE message_id IS NOT NULL;

-- Outlives the message: it recognises a sender's retry when the content is gone.
CREATE TABLE av.message_receipts (
    tenant_id   bytea NOT NULL,
    sender      bytea NOT NULL,
    message_id  bytea NOT NULL CHECK (octet_length(message_id) = 16),
    recipient   bytea NOT NULL,
    state       text NOT NULL CHECK (state IN ('accepted', 'delivered', 'rejected')),
    -- The code that the recipient gave.
    reject_code smallint,
    changed_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, sender, message_id),
    FOREIGN KEY (tenant_id, sender) REFERENCES av.devices,
    FOREIGN KEY (tenant_id, recipient) REFERENCES av.devices,
    CHECK ((state = 'rejected') = (reject_code IS NOT NULL))
);

ALTER TABLE av.conversations ENABLE ROW LEVEL SECURITY;
ALTER TABLE av.conversations FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON av.conversations
    USING (tenant_id = (SELECT decode(nullif(current_setting('app.tenant_id', true), ''), 'hex')))
    WITH CHECK (tenant_id = (SELECT decode(nullif(current_setting('app.tenant_id', true), ''), 'hex')));
GRANT SELECT, INSERT, UPDATE ON av.conversations TO av_app;

ALTER TABLE av.inboxes ENABLE ROW LEVEL SECURITY;
ALTER TABLE av.inboxes FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON av.inboxes
    USING (tenant_id = (SELECT decode(nullif(current_setting('app.tenant_id', true), ''), 'hex')))
    WITH CHECK (tenant_id = (SELECT decode(nullif(current_setting('app.tenant_id', true), ''), 'hex')));
GRANT SELECT, INSERT, UPDATE ON av.inboxes TO av_app;

ALTER TABLE av.messages ENABLE ROW LEVEL SECURITY;
ALTER TABLE av.messages FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON av.messages
    USING (tenant_id = (SELECT decode(nullif(current_setting('app.tenant_id', true), ''), 'hex')))
    WITH CHECK (tenant_id = (SELECT decode(nullif(current_setting('app.tenant_id', true), ''), 'hex')));
GRANT SELECT, INSERT, DELETE ON av.messages TO av_app;

ALTER TABLE av.inbox_entries ENABLE ROW LEVEL SECURITY;
ALTER TABLE av.inbox_entries FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON av.inbox_entries
    USING (tenant_id = (SELECT decode(nullif(current_setting('app.tenant_id', true), ''), 'hex')))
    WITH CHECK (tenant_id = (SELECT decode(nullif(current_setting('app.tenant_id', true), ''), 'hex')));
GRANT SELECT, INSERT, DELETE ON av.inbox_entries TO av_app;

ALTER TABLE av.message_receipts ENABLE ROW LEVEL SECURITY;
ALTER TABLE av.message_receipts FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON av.message_receipts
    USING (tenant_id = (SELECT decode(nullif(current_setting('app.tenant_id', true), ''), 'hex')))
    WITH CHECK (tenant_id = (SELECT decode(nullif(current_setting('app.tenant_id', true), ''), 'hex')));
GRANT SELECT, INSERT, UPDATE ON av.message_receipts TO av_app;
