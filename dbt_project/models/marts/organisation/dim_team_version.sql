{{ versions(ref('stg_crm__team_zones'), 'team_id', ['timezone']) }}
