"""Knowledge of AWS: sessions, buckets, limits of services, instance types, prices, logs."""
