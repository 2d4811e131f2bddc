-- Average seconds an epoch of finished runs by dataset (with its options, JSON text), architecture and scheme, of dataset and
-- architecture (scheme NULL), of the dataset, and of all: for estimates before launching. What is not known of a run is told by the next of these.
SELECT dataset, model, scheme, seconds_per_epoch, n
FROM paces
WHERE n > 0
ORDER BY dataset, model, scheme
