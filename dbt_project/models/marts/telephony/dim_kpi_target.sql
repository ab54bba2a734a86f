{{ versions(ref('int_kpi_targets'), 'target_key', ['scope', 'queue_id', 'target', 'value']) }}
