-- One of two tenants that know the same devices, invites, keys, prekeys, statements and messages by the same ids. B is
-- what is asked for; A has the same and more, so that whatever a statement takes from A shows in its result.
-- '@name' is put in by fixture.rs; between 'IF A' and 'END' stands what only A has.

INSERT INTO av.tenants (tenant_id, root_key, statements) VALUES (@tenant, decode(repeat('@c', 32), 'hex'), @statements);
INSERT INTO av.users (tenant_id, user_id) VALUES (@tenant, decode(repeat('@c', 16), 'hex'));
INSERT INTO av.devices (tenant_id, device_id, user_id, device_public, status, transcript, chain, enroll_grant, one_time_high)
SELECT @tenant, d.id, decode(repeat('@c', 16), 'hex'), d.public, d.status, decode(repeat('@c', 32), 'hex'),
       CASE WHEN d.status NOT IN ('pending', 'rejected') THEN decode('@c', 'hex') END, decode('@c', 'hex'), @high
FROM (VALUES
    (@owner, @public_owner, 'active'),
    (@agent, @public_agent, 'active'),
    (@pending, @public_pending, 'pending'),
    (@approved, @public_approved, 'approved'),
    (@held, @public_held, '@status_held'),
    (@out, @public_out, '@status_out'),
    (@second, @public_second, '@status_second')) AS d (id, public, status);

INSERT INTO av.invites (tenant_id, lookup_hash, inviter, role, expires_at, consumed_by, request, late_device, late_request)
SELECT @tenant, decode(repeat(i.hash, 32), 'hex'), @owner, 2, now() + interval '1 day',
       i.consumed_by, i.request, i.late_device, i.late_request
FROM (VALUES
    ('01', NULL, NULL, NULL, NULL),
    ('02', @pending, decode('@c', 'hex'), NULL, NULL),
    ('03', @agent, decode('@c', 'hex'), @out, decode('@c', 'hex'))) AS i (hash, consumed_by, request, late_device, late_request);

INSERT INTO av.api_keys (tenant_id, key_id, granted_by, key_grant, expires_at)
VALUES
-- IF A
    (@tenant, decode(repeat('a4', 16), 'hex'), @owner, decode('@c', 'hex'), 9999999999),
-- END
    (@tenant, @key, @owner, decode('@c', 'hex'), 9999999999);
UPDATE av.devices SET api_key = @key WHERE tenant_id = @tenant AND device_id = @agent;

INSERT INTO av.prekeys (tenant_id, device_id, kind, prekey_id, record, signature, handed_to, handed_at)
SELECT @tenant, @agent, p.kind, p.id, decode(repeat('@c', CASE WHEN p.kind IN (2, 3) THEN 1197 ELSE 45 END), 'hex'),
       decode(repeat('@c', 64), 'hex'), p.handed_to, p.handed_at
FROM (VALUES
    (1, @signed_id, NULL, NULL::timestamptz), (2, 1, NULL, NULL),
    (3, 3, NULL, NULL), (3, 10, NULL, NULL), (4, 3, NULL, NULL), (4, 10, NULL, NULL),
-- IF A
    (3, 2, NULL, NULL), (4, 2, NULL, NULL), (3, 20, @owner, now()), (4, 20, @owner, now()),
-- END
    (4, 21, @out, now() - interval '2 hours')) AS p (kind, id, handed_to, handed_at);

INSERT INTO av.statements (tenant_id, issuer, serial, subject, kind, place, signed, chain, api_key)
SELECT @tenant, s.issuer, s.serial, s.subject, s.kind, s.place, decode('@c', 'hex'), decode('@c', 'hex'), s.api_key::bytea
FROM (VALUES
-- IF A
    (@owner, 8, @agent, 3, 8, NULL),
    (@root, 1, @held, 4, 9, NULL),
    (@owner, 9, @key, 2, 9, @key),
-- END
    (@owner, 1, @out, 2, 1, NULL),
    (@owner, 2, @held, 3, 2, NULL)) AS s (issuer, serial, subject, kind, place, api_key);

INSERT INTO av.inboxes (tenant_id, device_id, epoch, next_sequence, received_bytes, waiting_bytes)
SELECT @tenant, i.id, decode(repeat(i.epoch, 16), 'hex'), 9, greatest(65604, @waiting), @waiting
FROM (VALUES (@owner, 'ee'), (@agent, '@epoch_agent'), (@held, 'ee'), (@out, 'ee'), (@second, 'ee')) AS i (id, epoch);

INSERT INTO av.messages (tenant_id, recipient, sequence, sender, message_id, header_blob, ciphertext, bytes_before,
                         received_at, expires_at)
SELECT @tenant, @owner, m.sequence, @agent, decode(repeat(m.id, 16), 'hex'), decode('@c', 'hex'), decode(repeat('@c', 3), 'hex'),
       m.bytes_before, to_timestamp(1800000000), now() + interval '30 days'
FROM (VALUES
-- IF A
    (1, 'a1', 0), (4, 'a4', 10), (7, 'a7', 65610),
-- END
    (2, '02', 100), (5, '05', 65600)) AS m (sequence, id, bytes_before);

INSERT INTO av.message_receipts (tenant_id, sender, message_id, recipient, state, expires_at)
SELECT @tenant, @agent, decode(repeat(r.id, 16), 'hex'), @owner, 'stored', now() + interval '35 days'
FROM (VALUES
-- IF A
    ('99'),
-- END
    ('02'), ('05')) AS r (id);

INSERT INTO av.inbox_entries (tenant_id, device_id, sequence, issuer, serial, activated)
SELECT @tenant, e.device_id, e.sequence, e.issuer, e.serial, e.activated
FROM (VALUES
    (@owner, 3, @owner, 1, NULL), (@owner, 8, NULL, NULL, @agent),
    (@agent, 1, @owner, 2, NULL), (@held, 1, @owner, 1, NULL)) AS e (device_id, sequence, issuer, serial, activated);
UPDATE av.devices SET activation = decode(repeat('@c', 64), 'hex') WHERE tenant_id = @tenant AND device_id = @agent;

INSERT INTO av.conversations (tenant_id, low_device, high_device, messages)
VALUES (@tenant, least(@owner, @agent), greatest(@owner, @agent), @statements);
