"""Reads accounts and alerts as the ledger wrote them, and writes entries by hand: grants, payments, adjustments …"""
