-- Statements come with the chain that gives their issuer a say, and devices can be certified anew.

-- Empty for the root's suspensions and resumptions, which need none.
ALTER TABLE av.statements ADD COLUMN chain bytea NOT NULL DEFAULT '';

-- A device's new chain.
ALTER TABLE av.inbox_entries
    ADD COLUMN recertified bytea,
    DROP CONSTRAINT inbox_entries_check2,
    ADD CONSTRAINT inbox_entries_one_content
        CHECK (num_nonnulls(message_id, serial, activated, recertified) = 1);
