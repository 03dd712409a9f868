"""Closed forms that solvers are checked against, one module a family: flows, steps of schemes,
moments and free energies; nothing here runs a solver.
"""
