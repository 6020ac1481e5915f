-- What a superuser does once on a PostgreSQL server for a relay: psql -f roles.sql, then \password for each role, or a
-- line in pg_ident.conf. One statement a line, for the relay's own clusters are made with this file too.
-- Owns the tables; only `av-relay migrate` is it.
CREATE ROLE av_owner LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE NOREPLICATION;
-- All traffic. Owns nothing.
CREATE ROLE av_app LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE NOREPLICATION NOINHERIT;
-- Removes what expired.
CREATE ROLE av_janitor LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE NOREPLICATION NOINHERIT;
-- For the owner to flush the cluster before its files are copied or searched; it gives no access to a row.
GRANT pg_checkpoint TO av_owner;
CREATE DATABASE agentvault OWNER av_owner;
REVOKE ALL ON DATABASE agentvault FROM PUBLIC;
GRANT CONNECT ON DATABASE agentvault TO av_app, av_janitor;
