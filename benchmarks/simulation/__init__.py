"""A simulated fleet: agents without jobs, many to a process, that speak the protocol as real ones do.

Imports point down: ``crew`` (processes) over ``fleet`` (one process's agents)
over ``agents`` and ``beats`` over ``channels``, ``secure`` and ``jobs``;
``throwaway``, ``passes``, ``seeding`` and ``real`` are about the site.
"""
