"""The backend services of the boutique, one module each; `python -m services.catalog` runs one."""
