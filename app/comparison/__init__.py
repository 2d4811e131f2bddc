"""What the Compare page works out, apart from how it is drawn: results, filters, groups, statistics, differences."""
