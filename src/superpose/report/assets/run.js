/* Everything starts here, once all scripts are read. */
startTheme();
startCopying();
startTables();
startHints();
startHeatMaps();
startDesk();
