-- Prekeys of the KEM: kind 2 the last-resort one, kind 3 one-time ones. Their records are longer.
ALTER TABLE av.prekeys
    DROP CONSTRAINT prekeys_kind_check,
    ADD CONSTRAINT prekeys_kind_check CHECK (kind IN (1, 2, 3, 4)),
    DROP CONSTRAINT prekeys_record_check,
    ADD CONSTRAINT prekeys_record_check
        CHECK (octet_length(record) = CASE WHEN kind IN (2, 3) THEN 1197 ELSE 45 END),
    DROP CONSTRAINT prekeys_check1,
    ADD CONSTRAINT prekeys_one_time_check CHECK (kind IN (3, 4) OR handed_to IS NULL);
