"""Tenancy, authorization, error and audit spine for multi-tenant services."""
