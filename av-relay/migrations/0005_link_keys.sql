-- Statements of the relay's link keys (kind 5), whose subject is the relay and no device.

ALTER TABLE av.statements
    DROP CONSTRAINT statements_kind_check,
    ADD CONSTRAINT statements_kind_check CHECK (kind IN (2, 3, 4, 5)),
    DROP CONSTRAINT statements_tenant_id_subject_fkey,
    ADD COLUMN device bytea GENERATED ALWAYS AS (CASE WHEN kind <> 5 THEN subject END) STORED,
    ADD FOREIGN KEY (tenant_id, device) REFERENCES av.devices;
