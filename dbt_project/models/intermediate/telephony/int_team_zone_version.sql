{{ config(materialized='view', schema='int', tags=['telephony']) }}

-- As dim_team_version, of what this run reads: that table is of the leads' run, which may have read less.

{{ versions(ref('stg_crm__team_zones'), 'team_id', ['timezone']) }}
