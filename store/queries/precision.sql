-- Where a run's formats changed: from this epoch on, a site of a layer in a product has this format.
-- $run text: run id
SELECT epoch, site, product, layer, format, reason FROM precision WHERE run = $run ORDER BY ALL
